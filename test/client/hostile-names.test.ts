import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { expectQuietNode } from '../helpers/child-env.js'
import { type RawServer, rawServer } from '../helpers/client-raw-server.js'
import { downloadHead, ID, LAST_CHUNK, openDownload, openUpload, tell } from '../helpers/client-wire.js'
import { needs } from '../helpers/needs.js'
import { type Program, run } from '../helpers/run.js'
import { ESS } from '../helpers/run-ess.js'
import { tempDir } from '../helpers/temp-dir.js'

/** Files that are there already, beside the folder in which `ess get` runs, and in it. */
const OWN = { '../above.txt': 'mine', 'café.txt': 'mine', bashrc: 'mine', 'folder/deep.txt': 'mine' } as const

/** A program that takes this machine for another one. */
const ON_WINDOWS = {
  NODE_OPTIONS: `--import data:text/javascript,Object.defineProperty(process,'platform',{value:'win32'})`,
}

beforeEach((context) => needs(context, 'script'))

const ESC = '\u001b'

/** How `ess` moves and hides the cursor, and keeps its place. */
const OWN_SEQUENCES = new RegExp(`${ESC}(?:\\[[\\d;?]*[A-Za-z]|[78])`, 'g')

/** What a terminal would obey, but for what `ess` itself says to it, or a person would not see. */
function obeyedIn(text: string): string[] {
  const words = text.replace(OWN_SEQUENCES, '').replace(/[\r\n]/g, '')
  return [...words].filter((character) =>
    /[\p{Cc}\p{Bidi_Control}\u200b-\u200d\u2060\ufeff]/u.test(character),
  )
}

/** The folder with `OWN` in it and beside it. */
async function ownFolder(): Promise<string> {
  const cwd = join(await tempDir(), 'in')
  await mkdir(join(cwd, 'folder'), { recursive: true })
  for (const [name, text] of Object.entries(OWN)) await writeFile(join(cwd, name), text)
  return cwd
}

/** Only on a terminal does `ess get` take the sender's name; `script` gives it one. */
async function onTerminal(cwd: string, args: readonly string[], env = {}): Promise<Program> {
  const words = [process.execPath, ESS, ...args].map((word) => `'${word}'`).join(' ')
  return await run(
    `ess ${args[0]} on a terminal`,
    'script',
    ['-qec', `stty cols 100; exec ${words}`, '/dev/null'],
    {
      cwd,
      env: { TERM: 'xterm', SHELL: '/bin/sh', NO_COLOR: '1', ...env },
    },
  )
}

/** A download whose server cleans nothing; `name` is what it says. Gives what `ess get` wrote to its terminal. */
async function get(
  server: RawServer,
  cwd: string,
  name: string,
  env = {},
): Promise<{ code: number | null; words: string }> {
  const program = await onTerminal(cwd, ['get', ID, '--server', server.url], env)
  const disposition = `Content-Disposition: attachment; filename*=UTF-8''${encodeURIComponent(name)}`
  const look = await server.accept()
  await look.until(/^HEAD .*\r\n\r\n/s)
  look.end(downloadHead('Content-Length: 5', disposition))
  void openDownload(server, 'Content-Length: 5', disposition).then(
    (connection) => connection.end('hello'),
    // Where the name is taken, nobody asks for it.
    () => undefined,
  )
  const { code, stdout } = await program.ended()
  const words = stdout.toString()
  expectQuietNode('ess get', words)
  expect(obeyedIn(words)).toEqual([])
  return { code, words }
}

async function expectOwnFiles(cwd: string): Promise<void> {
  for (const [name, text] of Object.entries(OWN)) expect(await readFile(join(cwd, name), 'utf8')).toBe(text)
  expect(await readdir(join(cwd, '..'))).toEqual(['above.txt', 'in'])
  expect(await readdir(join(cwd, 'folder'))).toEqual(['deep.txt'])
}

test.each([
  ['.', `ess-${ID}`],
  ['..', `ess-${ID}`],
  ['', `ess-${ID}`],
  [' . ', `ess-${ID}`],
  ['\u202e\u200b', `ess-${ID}`],
  ['../above.txt', 'above.txt'],
  ['folder/deep.txt', 'deep.txt'],
  ['..\\..\\windows\\win.ini', 'win.ini'],
  ['-rf', 'rf'],
  ['--output=x', 'output=x'],
  ['.profile', 'profile'],
  ['~', '~'],
  ['$(touch x).txt', '$(touch x).txt'],
  ['a\u001b]0;owned\u0007\u009b2Jb.txt', 'a]0;owned2Jb.txt'],
  ['a\r\nb\tc\u2028.txt', 'abc.txt'],
  ['invoice\u202efdp.exe', 'invoicefdp.exe'],
  ['a\u2066b\u2067c\u2068d\u2069e\u061cf.txt', 'abcdef.txt'],
  ['a\u200bb\u200dc\ufeffd\u2060.txt', 'abcd.txt'],
  [`${'é'.repeat(300)}.txt`, `${'é'.repeat(118)}.txt`],
  // To this machine another name than the one that is there, which is left alone.
  ['cafe\u0301.txt', 'cafe\u0301.txt'],
  // Good names here.
  ['aux.c', 'aux.c'],
  ['12:30 <what?>.log', '12:30 <what?>.log'],
])('`ess get` of %j from a server that cleans nothing writes %j, and nothing else', async (name, written) => {
  const cwd = await ownFolder()
  const { code, words } = await get(await rawServer(), cwd, name)
  expect(code, words).toBe(0)
  expect(words).toContain(`Received ${written}, 5 B`)
  const before = ['bashrc', 'café.txt', 'folder']
  expect((await readdir(cwd)).sort()).toEqual([...before, written].sort())
  expect(await readFile(join(cwd, written), 'utf8')).toBe('hello')
  await expectOwnFiles(cwd)
})

test.each([
  ['café.txt', 'café.txt'],
  ['.bash\u200brc', 'bashrc'],
  ['x/folder', 'folder'],
])('`ess get` of %j finds that %j is there, and leaves it and the transfer alone', async (name, taken) => {
  const cwd = await ownFolder()
  const server = await rawServer()
  const { code, words } = await get(server, cwd, name)
  expect(code, words).toBe(8)
  expect(words).toContain(`ess: ${join(cwd, taken)} exists already`)
  expect(server.connections()).toBe(1)
  expect((await readdir(cwd)).sort()).toEqual(['bashrc', 'café.txt', 'folder'])
  await expectOwnFiles(cwd)
})

test.each([
  ['nul.txt', '_nul.txt'],
  ['COM¹', '_COM¹'],
  ['notes.txt:evil.exe', 'notes.txt_evil.exe'],
  ['setup.exe.', 'setup.exe_'],
])('`ess get` of %j on Windows writes %j', async (name, written) => {
  const cwd = await ownFolder()
  const { code, words } = await get(await rawServer(), cwd, name, ON_WINDOWS)
  expect(code, words).toBe(0)
  expect(words).toContain(`Received ${written}, 5 B`)
  expect(await readFile(join(cwd, written), 'utf8')).toBe('hello')
})

test("`ess send` shows the name of one's own file as a terminal can show it", async () => {
  const cwd = await tempDir()
  const name = 'a\u001b]0;owned\u0007\u202eb.txt'
  await writeFile(join(cwd, name), 'hello')
  const server = await rawServer()
  const program = await onTerminal(cwd, ['send', name, '--server', server.url])
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  const { code, stdout } = await program.ended()
  expect(code, stdout.toString()).toBe(0)
  expect(stdout.toString()).toContain('Delivered a ]0;owned \\u{202e}b.txt, 5 B')
  expect(obeyedIn(stdout.toString())).toEqual([])
})

test.each([
  'http://127.0.0.1/\u001b]0;owned\u0007',
  'http://127.0.0.1/a\nrm -rf ~',
  'http://127.0.0.1/\u009b2J',
  'http://127.0.0.1/\u202e',
  'javascript:alert(1)',
  'http://',
])('`ess send` prints no link that is none: %j', async (url) => {
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), 'hello')
  const server = await rawServer()
  const program = await onTerminal(cwd, ['send', 'f', '--server', server.url])
  const connection = await openUpload(server, { url })
  const { code, stdout } = await program.ended()
  expect(code, stdout.toString()).toBe(6)
  expect(stdout.toString()).toContain('is no link. Check the address. [not-ess]')
  expect(obeyedIn(stdout.toString())).toEqual([])
  expect(await connection.ending()).toBe('rst')
})

test.each([
  { id: 'x;$(touch x)', url: 'http://192.0.2.1/x;$(touch%20x)' },
  { id: ID, url: `http://192.0.2.1/;$(x)/${ID}` },
])('`ess send` quotes for the shell whatever a server says: %j', async ({ id, url }) => {
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), 'hello')
  const server = await rawServer()
  const program = await onTerminal(cwd, ['send', 'f', '--server', server.url])
  const connection = await openUpload(server, { id, url })
  await program.untilStdout(/curl [^\n]*\n/)
  expect(program.stdout()).toContain(`ess get '${url}'\r\n`)
  expect(program.stdout()).toContain(`curl -fo 'f' '${url}'\r\n`)
  connection.end()
  expect((await program.ended()).code).toBe(5)
})
