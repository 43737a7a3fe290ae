import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openFile, send } from '../../client/index.js'
import { EXIT_STATUS } from '../../shared/index.js'
import { type RawConnection, type RawServer, rawServer } from '../helpers/client-raw-server.js'
import { ID, LAST_CHUNK, openDownload, openUpload, tell, untilUploaded } from '../helpers/client-wire.js'
import { type Program, type RunOptions, run } from '../helpers/run.js'
import { ESS } from '../helpers/run-ess.js'
import { tempDir } from '../helpers/temp-dir.js'

const isLinux = process.platform === 'linux'

/** Runs a shell's line in which `ess` is the real one. */
async function shell(
  server: RawServer,
  cwd: string,
  line: string,
  stdin?: RunOptions['stdin'],
): Promise<Program> {
  const env = { NODE: process.execPath, ESS, ID, ESS_SERVER: server.url }
  const script = `ess() { "$NODE" "$ESS" "$@"; }; ${line}`
  return await run(line, 'sh', ['-c', script], { cwd, env, ...(stdin !== undefined && { stdin }) })
}

/** Takes what is sent. `end` is how its body ends on the wire. */
async function take(server: RawServer, end: RegExp): Promise<RawConnection> {
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  await connection.until(end)
  tell(connection, { event: 'delivered', bytes: await untilUploaded(connection), confirmed: true })
  connection.end(LAST_CHUNK)
  return connection
}

/** The one file that is sent in chunks. */
function chunksIn(text: string): string {
  let rest = text.slice(text.indexOf('\r\n\r\n') + 4)
  let body = ''
  for (;;) {
    const size = Number.parseInt(rest, 16)
    if (!(size > 0)) return body
    const start = rest.indexOf('\r\n') + 2
    body += rest.slice(start, start + size)
    rest = rest.slice(start + size + 2)
  }
}

test
  .skipIf(!isLinux)
  .each(['/sys/class/net/lo/address', '/sys/class/net/lo/mtu', '/proc/version', '/proc/self/stat'])(
  '%s, whose size is not its length, is sent in chunks to its end',
  async (path) => {
    const server = await rawServer()
    const sending = send(path, { server: server.url })
    const connection = await take(server, /\r\n0\r\n\r\n$/)
    await sending.verdict
    expect(connection.text()).toMatch(/\r\ntransfer-encoding: chunked\r\n/i)
    expect(connection.text()).toContain(`filename="${path.split('/').at(-1)}"`)
    // The times in the last one go on.
    const [start = ''] = (await readFile(path, 'latin1')).split(' ')
    expect(chunksIn(connection.text()).startsWith(start)).toBe(true)
    if (path !== '/proc/self/stat') expect(chunksIn(connection.text())).toBe(await readFile(path, 'latin1'))
  },
)

test.each([1, 10, 65_536, 65_537])('a sparse file of %i bytes is as long as it says', async (size) => {
  const path = join(await tempDir(), 'sparse')
  await writeFile(path, '')
  await truncate(path, size)
  const source = await openFile(path)
  expect(source.size).toBe(size)
  let bytes = 0
  for await (const block of source.read()) bytes += block.length
  expect(bytes).toBe(size)
  await source.close()
})

describe('a path of an open file', () => {
  test.each([
    ['a file', 'exec 3< notes.pdf; ess send /dev/fd/3', /\r\n\r\nhello$/],
    ['a pipe', 'printf hello | ess send /dev/fd/3 3<&0', /hello\r\n0\r\n\r\n$/],
    ['stdin, which is a file', 'ess send /dev/stdin < notes.pdf', /\r\n\r\nhello$/],
    ['stdin, which is a pipe', 'printf hello | ess send /dev/stdin', /hello\r\n0\r\n\r\n$/],
    ['stdin, which is a socket', 'ess send /dev/stdin', /hello\r\n0\r\n\r\n$/],
  ])('is read, and says nothing of a name: %s', async (_what, line, end) => {
    const cwd = await tempDir()
    await writeFile(join(cwd, 'notes.pdf'), 'hello')
    const server = await rawServer()
    const program = await shell(server, cwd, line, 'hello')
    const connection = await take(server, end)
    const { code, stderr } = await program.ended()
    expect(code, stderr).toBe(0)
    expect(connection.text()).toMatch(/\r\ncontent-disposition: attachment\r\n/i)
  })
})

// Elsewhere such names cannot be, or cannot be told.
describe.skipIf(!isLinux)('a name that is not UTF-8', () => {
  test.each([
    ['in this folder', 'f=$(printf "bad\\377"); printf hello > "$f"; ess send "$f"'],
    [
      'beside one that reads the same',
      'f=$(printf "bad\\377"); printf wrong > "$(printf "bad\\376")"; printf hello > "$f"; ess send "$f"',
    ],
    ['in a folder of that kind', 'd=$(printf "d\\351"); mkdir "$d"; printf hello > "$d/f"; ess send "$d/f"'],
    ['with its whole path', 'f=$PWD/$(printf "bad\\377"); printf hello > "$f"; ess send -- "$f"'],
    ['as a working folder', 'd=$(printf "d\\351"); mkdir "$d"; cd "$d"; printf hello > f; ess send f'],
    ['in it', 'd=$(printf "d\\351"); mkdir "$d"; cd "$d"; printf hello > "$d"; ess send "$d"'],
    [
      'but for the character that stands for others',
      'f=$(printf "bad\\357\\277\\275"); printf hello > "$f"; ess send "$f"',
    ],
  ])('is found: %s', async (_where, line) => {
    const server = await rawServer()
    const program = await shell(server, await tempDir(), line)
    await take(server, /\r\n\r\nhello$/)
    const { code, stderr } = await program.ended()
    expect(code, stderr).toBe(0)
  })

  test('is told to the receiver as a terminal shows it', async () => {
    const server = await rawServer()
    const line = 'f=$(printf "bad\\377"); printf hello > "$f"; ess send "$f"'
    const program = await shell(server, await tempDir(), line)
    const connection = await take(server, /\r\n\r\nhello$/)
    expect(connection.text()).toContain("filename*=UTF-8''bad%EF%BF%BD\r\n")
    expect((await program.ended()).code).toBe(0)
  })

  test.each([
    ['-o', 'get "$ID" -o "$f"', '--output', 'Write to standard output instead: ess get LINK > FILE'],
    ['-o=', 'get "$ID" "-o=$f"', '--output', 'Write to standard output instead: ess get LINK > FILE'],
    [
      '--output=',
      'get "$ID" --output="$f"',
      '--output',
      'Write to standard output instead: ess get LINK > FILE',
    ],
    ['--name', 'send --name "$f" -', '--name', 'Use another name.'],
    ['--token-file', 'send --token-file "$f" -', '--token-file', 'Use another name.'],
  ])('is refused where another one would be written: %s', async (_where, args, option, advice) => {
    const server = await rawServer()
    const cwd = await tempDir()
    const { code, stderr } = await (await shell(server, cwd, `f=$(printf "bad\\377"); ess ${args}`)).ended()
    expect(code).toBe(EXIT_STATUS.usage)
    expect(stderr).toContain(`The value of ${option} is not UTF-8: "bad\ufffd". ${advice}`)
    expect(server.connections()).toBe(0)
    expect(await readdir(cwd)).toEqual([])
  })

  test('as a working folder receives, too', async () => {
    const server = await rawServer()
    const cwd = await tempDir()
    const line = 'd=$(printf "d\\351"); mkdir "$d"; cd "$d"; ess get "$ID" -o f; cat f'
    const program = await shell(server, cwd, line)
    ;(await openDownload(server, 'Content-Length: 5')).end('hello')
    const { code, stdout, stderr } = await program.ended()
    expect([code, stdout.toString(), stderr]).toEqual([0, 'hello', ''])
    expect(existsSync(join(cwd, 'd\ufffd'))).toBe(false)
  })

  test('that is not there is said to be missing, with a way to send what was meant', async () => {
    const folder = await tempDir()
    await mkdir(join(folder, 'bad'))
    const opened = openFile(join(folder, 'bad\ufffd'))
    await expect(opened).rejects.toThrow(
      /^There is no file .* If its name is not UTF-8, pipe it in: ess send --name NAME < FILE$/,
    )
  })
})

test.each([
  ['a name that is too long', 'n'.repeat(256), 'the name is too long'],
  ['a file that is no folder', '/etc/passwd/x', 'no such file'],
])('%s is said in words, and is no bug', async (_what, name, words) => {
  const server = await rawServer()
  const program = await shell(server, await tempDir(), `ess send ${name} > out`)
  const { code, stderr } = await program.ended()
  expect([code, stderr]).toEqual([EXIT_STATUS.local, expect.stringContaining(words)])
})
