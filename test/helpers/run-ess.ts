import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { expectQuietNode } from './child-env.js'
import { type Program, type RunOptions, run } from './run.js'

/** The `ess` command as users get it, for a test that starts it in a way of its own. */
export const ESS = fileURLToPath(new URL('../../dist/ess/ess.cjs', import.meta.url))

/**
 * Starts the real `ess`, by the Node that runs the tests. `server` is the URL it is told by `ESS_SERVER`.
 * The test fails when it leaves a Node warning or a stack trace on stderr.
 */
export async function runEss(
  server: string | undefined,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Program> {
  const env = { ESS_SERVER: server, ...options.env }
  const program = await run(`ess ${args.join(' ')}`, process.execPath, [ESS, ...args], { ...options, env })
  onTestFinished(() => expectQuietNode(program.name, program.stderr()))
  return program
}

/**
 * The real `ess` on a terminal that can't be drawn on, in the folder `cwd`. What it writes to the terminal is the program's
 * stdout; its own stdout goes into the file `out`, unless it is `isWhole`.
 */
export function essOnTerminal(cwd: string, args: readonly string[], isWhole = false): Promise<Program> {
  const line = [process.execPath, ESS, ...args].map((word) => `'${word}'`).join(' ')
  return run(
    `ess ${args.join(' ')}`,
    'script',
    ['-qec', `exec ${line} ${isWhole ? '' : '> out'}`, '/dev/null'],
    {
      stdin: 'open',
      cwd,
      env: { TERM: 'dumb', SHELL: '/bin/sh' },
    },
  )
}
