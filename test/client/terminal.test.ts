import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, expect, test } from 'vitest'
import { rawServer } from '../helpers/client-raw-server.js'
import { downloadHead, ID, openDownload, openUpload } from '../helpers/client-wire.js'
import { needs } from '../helpers/needs.js'
import { type Program, run } from '../helpers/run.js'
import { tempDir } from '../helpers/temp-dir.js'

const ESS = fileURLToPath(new URL('../../dist/client/main.js', import.meta.url))
const CTRL_C = '\u0003'
const CURSOR = { hide: '\u001b[?25l', show: '\u001b[?25h' } as const

beforeEach((context) => needs(context, 'script'))

/** The real `ess` on a terminal of its own; what it writes, to stdout and stderr, is the program's stdout. */
function onTerminal(cwd: string, ...args: readonly string[]): Promise<Program> {
  const words = [process.execPath, ESS, ...args].map((word) => `'${word}'`).join(' ')
  const line = `stty cols 100 rows 30; exec ${words}`
  const env = { TERM: 'xterm', SHELL: '/bin/sh' }
  return run(`ess ${args[0]} on a terminal`, 'script', ['-qec', line, '/dev/null'], {
    stdin: 'open',
    cwd,
    env,
  })
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
  expect(existsSync(join(cwd, 'file.txt.part'))).toBe(true)
  program.stdin.write(CTRL_C)
  const { code, stdout } = await program.ended()
  expect(code).toBe(130)
  expect(stdout.toString()).toMatch(/interrupted: Stopped before the transfer was complete\r\n/)
  expect(stdout.lastIndexOf(CURSOR.show)).toBeGreaterThan(stdout.lastIndexOf(CURSOR.hide))
  expect(await readdir(cwd)).toEqual([])
  expect(await connection.ending()).toBe('rst')
})

test('Ctrl-C on a waiting terminal does too', async () => {
  const server = await rawServer()
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), 'hello')
  const program = await onTerminal(cwd, 'send', 'f', '--server', server.url)
  const connection = await openUpload(server)
  await program.untilStdout(/waiting for the receiver/)
  program.stdin.write(CTRL_C)
  const { code, stdout } = await program.ended()
  expect(code).toBe(130)
  expect(stdout.lastIndexOf(CURSOR.show)).toBeGreaterThan(stdout.lastIndexOf(CURSOR.hide))
  expect(await connection.ending()).toBe('rst')
})
