import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { type RawConnection, type RawServer, rawServer } from '../../helpers/client-raw-server.js'
import { downloadHead, ID, LAST_CHUNK, openDownload, openUpload, tell } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { type Program, run } from '../../helpers/run.js'
import { ESS } from '../../helpers/run-ess.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

const CTRL_C = '\u0003'
const WRAP = { off: '\u001b[?7l', on: '\u001b[?7h' } as const
/** How often the bar is drawn. */
const FRAME_MS = 80
const ERASE = '\r\u001b[K'
const CTRL_S = '\u0013'
const CTRL_Q = '\u0011'

beforeEach((context) => needs(context, 'script'))

/** The real `ess` on a terminal of its own; what it writes, to stdout and stderr, is the program's stdout. */
function onTerminal(cwd: string, ...args: readonly string[]): Promise<Program> {
  return lineOnTerminal(cwd, `exec ${essLine(args)}`)
}

function essLine(args: readonly string[]): string {
  return [process.execPath, ESS, ...args].map((word) => `'${word}'`).join(' ')
}

function lineOnTerminal(cwd: string, command: string): Promise<Program> {
  const line = `stty cols 100 rows 30; ${command}`
  const env = { TERM: 'xterm', SHELL: '/bin/sh' }
  return run('ess on a terminal', 'script', ['-qec', line, '/dev/null'], {
    stdin: 'open',
    cwd,
    env,
  })
}

/** Line wrap came back, the cursor was never hidden, and nothing is left of what was drawn. */
function expectAsFound(output: string): void {
  expect(output.lastIndexOf(WRAP.on)).toBeGreaterThan(output.lastIndexOf(WRAP.off))
  expect(output.lastIndexOf(ERASE)).toBeGreaterThan(output.lastIndexOf(WRAP.on))
  expect(output).not.toContain('\u001b[?25')
}

test('Ctrl-C on a receiving terminal leaves a line, the cursor, and no file', async () => {
  const server = await rawServer()
  const cwd = await tempDir()
  const program = await onTerminal(cwd, 'get', ID, '--server', server.url)
  const look = await server.accept()
  await look.until(/^HEAD /)
  look.end(downloadHead('Content-Length: 9'))
  const connection = await openDownload(server, 'Content-Length: 9')
  connection.write('hello')
  await program.untilStdout(/5 B of 9 B/)
  expect(existsSync(join(cwd, `file.txt.${ID}.part`))).toBe(true)
  program.stdin.write(CTRL_C)
  const { code, stdout } = await program.ended()
  expect(code).toBe(130)
  expect(stdout.toString()).toMatch(/Interrupted before the transfer was complete\. \[interrupted\]\r\n/)
  expectAsFound(stdout.toString())
  expect(await readdir(cwd)).toEqual([])
  expect(await connection.ending()).toBe('rst')
})

test('Ctrl-C on a waiting terminal does too', async () => {
  const server = await rawServer()
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), 'hello')
  const program = await onTerminal(cwd, 'send', 'f', '--server', server.url)
  const connection = await openUpload(server)
  await program.untilStdout(/Waiting for the receiver/)
  program.stdin.write(CTRL_C)
  const { code, stdout } = await program.ended()
  expect(code).toBe(130)
  expectAsFound(stdout.toString())
  expect(await connection.ending()).toBe('rst')
})

/** Sends the file `f`, up to the bar that is drawn at its middle. */
async function sendHalf(
  cwd: string,
  server: RawServer,
  start: (args: readonly string[]) => Promise<Program>,
) {
  await writeFile(join(cwd, 'f'), Buffer.alloc(2000))
  const program = await start(['send', 'f', '--server', server.url])
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  tell(connection, { event: 'progress', bytes: 1000, total: 2000 })
  await program.untilStdout(/50%/)
  return { program, connection }
}

/** Nothing tells of it, but that news is no longer drawn. */
async function stopTerminal(program: Program, connection: RawConnection): Promise<void> {
  program.stdin.write(CTRL_S)
  let bytes = 1000
  await until('the terminal takes nothing', async () => {
    bytes += 20
    tell(connection, { event: 'progress', bytes, total: 2000 })
    await delay(3 * FRAME_MS)
    return !program.stdout().includes(`${bytes / 20}%`)
  })
}

test('a transfer goes on while its terminal takes nothing, and its last word comes when that does', async () => {
  const server = await rawServer()
  const cwd = await tempDir()
  const { program, connection } = await sendHalf(cwd, server, (args) => onTerminal(cwd, ...args))
  await stopTerminal(program, connection)
  tell(connection, { event: 'delivered', bytes: 2000, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await connection.ending()).toBe('fin')
  expect(program.stdout()).not.toContain('Delivered')
  program.stdin.write(CTRL_Q)
  await program.untilStdout(/✔.* Delivered f/)
  const { code, stdout } = await program.ended()
  expect(code).toBe(0)
  expectAsFound(stdout.toString())
})

test.each([
  ['a success', { event: 'delivered', bytes: 2000, confirmed: true }, 0],
  ['a failure', { event: 'failed', problem: { type: 'urn:ess:problem:stalled', title: 't' }, bytes: 9 }, 143],
])('SIGTERM ends a process that has yet to tell a stopped terminal of %s', async (_what, verdict, status) => {
  const server = await rawServer()
  const cwd = await tempDir()
  // What the shell says of a process that a signal ended must not wait for the terminal.
  const start = (args: readonly string[]) =>
    lineOnTerminal(
      cwd,
      `{ sh -c 'echo $$ > pid; exec "$@" 2>&3' sh ${essLine(args)}; echo $? > status; } 3>&2 2>log`,
    )
  const { program, connection } = await sendHalf(cwd, server, start)
  await stopTerminal(program, connection)
  tell(connection, verdict)
  connection.end(LAST_CHUNK)
  await connection.ending()
  process.kill(Number(await readFile(join(cwd, 'pid'), 'utf8')), 'SIGTERM')
  await until('there is a status', async () => (await statusIn(cwd)) !== '')
  expect(await statusIn(cwd)).toBe(`${status}\n`)
})

test('a terminal that is closed ends it by SIGHUP, and not by a crash of Node', async () => {
  const server = await rawServer()
  const cwd = await tempDir()
  // The kernel tells the session's first process only, which is the shell, and a shell tells its jobs.
  const start = (args: readonly string[]) =>
    lineOnTerminal(
      cwd,
      `trap 'kill -HUP $pid' HUP; ${essLine(args)} & pid=$!; wait $pid; wait $pid; echo $? > status`,
    )
  const { program, connection } = await sendHalf(cwd, server, start)
  program.kill('SIGKILL')
  expect(await connection.ending()).toBe('rst')
  await until('there is a status', async () => (await statusIn(cwd)) !== '')
  expect(await statusIn(cwd)).toBe('129\n')
})

function statusIn(cwd: string): Promise<string> {
  return readFile(join(cwd, 'status'), 'utf8').catch(() => '')
}
