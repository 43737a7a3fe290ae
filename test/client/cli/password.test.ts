import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { knownPassword, newPassword } from '../../../client/cli/password.js'
import { type RawServer, rawServer } from '../../helpers/client-raw-server.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { ESS } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { type Shell, shellInTmux } from '../../helpers/tmux.js'
import { until } from '../../helpers/within.js'

const PASSWORD = 'sechs zufällige Wörter'
const ASKED = /Password:$/m
const AGAIN = /The same again:$/m

describe('on a terminal', () => {
  beforeEach((context) => needs(context, 'tmux', 'bash'))

  /** A shell in which `ess` is the real one, in a folder with a file `f`. */
  async function terminal(server: string): Promise<{ shell: Shell; cwd: string }> {
    const cwd = await tempDir()
    await writeFile(join(cwd, 'f'), 'hello\n')
    await writeFile(
      join(cwd, 'functions'),
      `ess() { sh -c 'echo $$ > pid; exec "$@"' sh '${process.execPath}' '${ESS}' "$@"; }\n`,
    )
    const shell = await shellInTmux(cwd, { ESS_SERVER: server, TERM: 'xterm', LANG: 'C.UTF-8' })
    await shell.type('. ./functions; clear')
    return { shell, cwd }
  }

  /** The modes that `stty -a` has written into `before` and `after`. */
  async function modes(cwd: string): Promise<readonly string[]> {
    const [before = '', after = ''] = await Promise.all(
      ['before', 'after'].map((name) => readFile(join(cwd, name), 'utf8').catch(() => '')),
    )
    return [before, after]
  }

  async function expectAsFound(cwd: string): Promise<void> {
    await until('the modes were written', async () => (await modes(cwd)).every((text) => text !== ''))
    const [before, after] = await modes(cwd)
    expect(before).toMatch(/ echo /)
    expect(after).toBe(before)
  }

  /** Types a line that asks for a password, with the modes before and after it. */
  async function askedIn(server: RawServer, line = 'ess send --password f') {
    const { shell, cwd } = await terminal(server.url)
    await shell.type(`stty -a > before; ${line}; echo "status $?"; stty -a > after`)
    await shell.untilScreen(ASKED)
    return { shell, cwd }
  }

  test('it is asked for twice to send and once to receive, is not shown, and pipes work', async () => {
    const server = await startServerHere()
    const { shell, cwd } = await terminal(server.url)
    await shell.type('stty -a > before; cat f | ess send --password > link; stty -a > after')
    await shell.untilScreen(ASKED)
    await shell.type(PASSWORD)
    await shell.untilScreen(AGAIN)
    await shell.type(PASSWORD)
    await shell.untilScreen(/age -d > 'ess-[\w-]{12}'/)
    const { shell: other } = await terminal(server.url)
    const link = (await readFile(join(cwd, 'link'), 'utf8')).trim()
    expect(link).toMatch(/^http:\/\/[\d.:]+\/[\w-]{12}$/)
    await other.type(`ess get ${link} | tr a-z A-Z`)
    await other.untilScreen(ASKED)
    await other.type('guess')
    await other.untilScreen(/That is not the password\. Password:$/m)
    await other.type(PASSWORD)
    await other.untilScreen(/^HELLO$/m)
    await shell.untilScreen(/✔ Delivered/)
    for (const one of [shell, other])
      expect((await one.scrolledBack()).join('\n')).not.toMatch(/guess|sechs|Wörter/)
    await expectAsFound(cwd)
  })

  test('a wrong one is asked for three times, and the link still works', async () => {
    const server = await startServerHere()
    const { shell, cwd } = await terminal(server.url)
    await shell.type(`printf '${PASSWORD}' > pw; ESS_PASSWORD_FILE=pw ess send --password f > link &`)
    await until('there is a link', () => readFile(join(cwd, 'link'), 'utf8').catch(() => ''))
    await shell.type('clear; ess get $(cat link) -o copy; echo "status $?"')
    for (const attempt of [1, 2, 3]) {
      await shell.untilScreen(
        new RegExp(`(?:Password:\\s*){${attempt}}$`.replace('Password', '[^\\n]*Password')),
      )
      await shell.type(`guess ${attempt}`)
    }
    await shell.untilScreen(
      /This is not the password of this file\. The link still works\. \[wrong-key\]\nstatus 9$/m,
    )
    await shell.type('ESS_PASSWORD_FILE=pw ess get $(cat link) -o copy')
    await until('the file is there', () => readFile(join(cwd, 'copy'), 'utf8').catch(() => ''))
  })

  test('two that differ, and an empty one, are asked for anew; then nothing is sent', async () => {
    const server = await rawServer()
    const { shell, cwd } = await askedIn(server)
    await shell.type('one')
    await shell.untilScreen(AGAIN)
    await shell.type('other')
    await shell.untilScreen(/The two are not the same\. Password:$/m)
    await shell.press('Enter')
    await shell.untilScreen(/An empty password protects nothing\. Password:$/m)
    await shell.press('C-d')
    await shell.untilScreen(/No password was chosen\. Run the command again\. \[usage\]\nstatus 2$/m)
    await expectAsFound(cwd)
    expect(server.connections()).toBe(0)
  })

  test('keys that edit it do, and other keys are not part of it', async () => {
    const server = await rawServer()
    const { shell, cwd } = await askedIn(server)
    // What is wrong is taken back in the first, and not typed in the second.
    for (const key of ['x', 'C-u', 'a', 'ü', '👋', 'BSpace', 'Left', 'F5', 'Tab', 'b', 'Enter'])
      await shell.press(key)
    await shell.untilScreen(AGAIN)
    await shell.type('aüb')
    // It was the same.
    const connection = await server.accept()
    await connection.until(/^ess-sealed: /im)
    await shell.press('C-c')
    await shell.untilScreen(/^status 130$/m)
    await expectAsFound(cwd)
  })

  test('Ctrl-C ends it, and every program of its line', async () => {
    const server = await rawServer()
    const { shell, cwd } = await askedIn(server, 'sleep 1000 | ess send --password')
    await shell.press('C-c')
    await shell.untilScreen(/Interrupted[^\n]*\[interrupted\]\n\$$/m)
    // The shell has left the rest of the line out, as after any Ctrl-C.
    await shell.type('stty -a > after; jobs; pgrep -P $$ sleep; echo "status $?"')
    await shell.untilScreen(/^status 1$/m)
    await expectAsFound(cwd)
    expect(server.connections()).toBe(0)
  })

  test('Ctrl-\\ does too', async () => {
    const server = await rawServer()
    const { shell, cwd } = await askedIn(server)
    await shell.press('C-\\')
    await shell.untilScreen(/^status 131$/m)
    await expectAsFound(cwd)
  })

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
  ] as const)('%s gives the terminal back', async (signal, status) => {
    const server = await rawServer()
    const { shell, cwd } = await askedIn(server)
    process.kill(Number(await readFile(join(cwd, 'pid'), 'utf8')), signal)
    await shell.untilScreen(new RegExp(`^status ${status}$`, 'm'))
    await expectAsFound(cwd)
  })

  test('Ctrl-Z gives the terminal to the shell, and fg asks again for the rest', async () => {
    const server = await rawServer()
    const { shell, cwd } = await terminal(server.url)
    await shell.type('stty -a > before; ess send --password f')
    await shell.untilScreen(ASKED)
    for (const key of ['s', 'e']) await shell.press(key)
    await shell.press('C-z')
    await shell.untilScreen(/Stopped/)
    await shell.type('stty -a > after; clear; echo "ty""ped"')
    await shell.untilScreen(/^typed$/m)
    await expectAsFound(cwd)
    await shell.type('clear; fg')
    await shell.untilScreen(ASKED)
    await shell.type('same')
    await shell.untilScreen(AGAIN)
    await shell.press('C-z')
    await shell.untilScreen(/Stopped/)
    // Only the program in front may change the modes: the kernel stops any other.
    await shell.type('clear; bg; until jobs | grep -q Stopped; do sleep 0.1; done; echo "st""ill"')
    await shell.untilScreen(/^still$/m)
    await shell.type('clear; fg')
    await shell.untilScreen(AGAIN)
    await shell.type('sesame')
    const connection = await server.accept()
    await connection.until(/^ess-sealed: /im)
  })

  test('where nothing can stop it, Ctrl-Z leaves the question, and what is typed stays hidden', async (context) => {
    needs(context, 'script')
    const server = await rawServer()
    const cwd = await tempDir()
    await writeFile(join(cwd, 'f'), 'hello')
    const line = `'${process.execPath}' '${ESS}' send --password f`
    // The process group of a session's first process is orphaned: SIGTSTP does nothing there.
    const program = await run(
      'ess in a session of its own',
      'script',
      ['-qec', `exec ${line}`, '/dev/null'],
      {
        stdin: 'open',
        cwd,
        env: { ESS_SERVER: server.url, TERM: 'xterm', SHELL: '/bin/sh' },
      },
    )
    await program.untilStdout(/Password: /)
    program.stdin.write('\u001a')
    await program.untilStdout(/Password: [\s\S]*Password: /)
    program.stdin.write('sesame\nsesame\n')
    await (await server.accept()).until(/^ess-sealed: /im)
    expect(program.stdout()).not.toContain('sesame')
  })
})

/** No terminal is asked: what is in the file decides. */
async function inFile(content: string | Buffer | undefined, path = 'pw') {
  const cwd = await tempDir()
  if (content !== undefined) await writeFile(join(cwd, 'pw'), content)
  return { env: { ESS_PASSWORD_FILE: path }, cwd, signal: new AbortController().signal }
}

describe('in the file that ESS_PASSWORD_FILE names', () => {
  test.each([
    ['sesame', 'sesame'],
    ['sesame\n', 'sesame'],
    ['sesame\r\n', 'sesame'],
    [' open sesame ', ' open sesame '],
    [PASSWORD, PASSWORD],
  ])('%j is read without its line end', async (content, password) => {
    const io = await inFile(content)
    expect(await newPassword(io)).toBe(password)
    expect(await knownPassword(io, 1)).toBe(password)
    // It would be the same again.
    expect(await knownPassword(io, 2)).toBeUndefined()
  })

  test.each([
    ['', 'usage', 'The password in pw is empty. Write it into that file.'],
    ['\n', 'usage', 'The password in pw is empty. Write it into that file.'],
    ['one\ntwo\n', 'usage', 'The password in pw must be one line of UTF-8.'],
    [Buffer.from([0x73, 0xff]), 'usage', 'The password in pw must be one line of UTF-8.'],
    [undefined, 'file-unreadable', 'The file that ESS_PASSWORD_FILE names does not exist. Correct its path.'],
  ])('%j is refused', async (content, code, message) => {
    const io = await inFile(content)
    await expect(newPassword(io)).rejects.toMatchObject({ code, message })
    await expect(knownPassword(io, 1)).rejects.toMatchObject({ code, message })
  })

  test('the password itself in place of its file is not quoted', async () => {
    await expect(newPassword(await inFile(undefined, 'open sesame'))).rejects.toMatchObject({
      message: expect.not.stringContaining('sesame'),
    })
  })
})
