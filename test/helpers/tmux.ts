import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { childEnv } from './child-env.js'
import { until } from './within.js'

const runFile = promisify(execFile)

/** An interactive shell in a real terminal. */
export interface Shell {
  /** Types a line, with Enter. */
  type(line: string): Promise<void>
  /** Presses one key by tmux's name of it, such as `C-z`. */
  press(key: string): Promise<void>
  /** What is on the screen, with what has left it at the top: tmux moves lines there when a window gets narrower. */
  scrolledBack(): Promise<string[]>
  /** Waits until what is on the screen matches, and gives its lines, without empty ones. */
  untilScreen(pattern: RegExp): Promise<string[]>
  /** What is on the screen, cell by cell, with the escape sequences of its colours. */
  drawn(): Promise<string>
  resize(columns: number): Promise<void>
  /** Of the terminal itself: whether the cursor is there, and whether lines wrap. */
  modes(): Promise<string>
}

/** Starts `bash` in tmux, in the folder `cwd`; it ends with the test. */
export async function shellInTmux(cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Shell> {
  const name = `ess-test-${randomBytes(6).toString('hex')}`
  const tmux = async (...args: readonly string[]) =>
    (await runFile('tmux', ['-L', name, '-f', '/dev/null', ...args], { env: childEnv(env), cwd })).stdout
  onTestFinished(async () => {
    await tmux('kill-server').catch(() => {}) // Its shell may have ended it.
  })
  await tmux('new-session', '-d', '-s', 's', '-x', '100', '-y', '24', "PS1='$ ' bash --norc --noprofile -i")
  // Joined, for a folded line is one line.
  const capture = async (...range: readonly string[]) =>
    (await tmux('capture-pane', '-p', '-J', ...range, '-t', 's'))
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '')
  const screen = () => capture()
  const untilScreen = async (pattern: RegExp) => {
    let lines: string[] = []
    try {
      await until(`the screen shows ${pattern}`, async () => {
        lines = await screen()
        return pattern.test(lines.join('\n'))
      })
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}; it shows:\n${lines.join('\n')}`)
    }
    return lines
  }
  await untilScreen(/\$/)
  return {
    async type(line) {
      await tmux('send-keys', '-t', 's', '-l', line)
      await tmux('send-keys', '-t', 's', 'Enter')
    },
    press: async (key) => void (await tmux('send-keys', '-t', 's', key)),
    scrolledBack: () => capture('-S', '-'),
    untilScreen,
    drawn: () => tmux('capture-pane', '-p', '-e', '-N', '-t', 's'),
    resize: async (columns) =>
      void (await tmux('resize-window', '-t', 's', '-x', String(columns), '-y', '24')),
    modes: async () =>
      (await tmux('display', '-p', '-t', 's', 'cursor #{cursor_flag}, wrap #{wrap_flag}')).trim(),
  }
}
