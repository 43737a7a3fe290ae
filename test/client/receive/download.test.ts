import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { download } from '../../../client/index.js'
import { EssError } from '../../../shared/index.js'
import { type RawServer, rawServer } from '../../helpers/client-raw-server.js'
import {
  acceptGet,
  chunk,
  downloadHead,
  ID,
  LAST_CHUNK,
  openDownload,
  problem,
} from '../../helpers/client-wire.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

/** The failure a download ends with. */
async function failure(download: Promise<unknown>): Promise<EssError> {
  const error = await within(
    DEADLINE_MS,
    'the download fails',
    download.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  if (error instanceof EssError) return error
  throw new Error(`Expected an EssError, got ${error}`)
}

/** Answers the HEAD that looks for the name, so that the next connection is the GET. */
async function answerLook(server: RawServer, ...headers: readonly string[]): Promise<void> {
  const look = await server.accept()
  await look.until(/^HEAD [\s\S]*\r\n\r\n/)
  look.end(downloadHead('Content-Length: 5', ...headers))
}

test('a download is at its place before our FIN says so', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, to: { file } })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  expect(await connection.ending()).toBe('fin')
  expect(existsSync(file)).toBe(true)
  expect(await received).toEqual({
    id: ID,
    name: 'file.txt',
    size: 5,
    type: 'application/octet-stream',
    bytes: 5,
    path: file,
  })
  expect(await readFile(file, 'utf8')).toBe('hello')
})

test('no FIN before the last byte was taken by a slow reader', async () => {
  const server = await rawServer()
  const written: string[] = []
  let takeIt = () => {}
  const stream = new Writable({
    write(bytes: Buffer, _encoding, callback) {
      if (bytes.length === 0) return callback()
      written.push(bytes.toString())
      takeIt = callback
    },
  })
  const received = download(ID, { server: server.url, to: { stream } })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  await expect.poll(() => written).toEqual(['hello'])
  // Nothing announces what does not happen; a FIN that came too early is here well within this.
  await delay(200)
  expect(connection.ended()).toBeUndefined()
  takeIt()
  expect(await connection.ending()).toBe('fin')
  expect(await received).toMatchObject({ bytes: 5, path: undefined })
})

test('an output that fails behind its last byte, with the end of the connection still to come, is a failure', async () => {
  const server = await rawServer()
  let fail: ((error: Error) => void) | undefined
  // As a file stream over somebody's descriptor is: it may not close that, and so it is not destroyed.
  const stream = new Writable({
    autoDestroy: false,
    write(_bytes, _encoding, callback) {
      fail = callback
    },
  })
  const received = download(ID, { server: server.url, to: { stream } })
  // All in one packet: for a body of which more is to come, its writes are awaited one by one.
  const connection = await acceptGet(server)
  connection.write(`${downloadHead('Content-Length: 5')}hello`)
  await expect.poll(() => fail).toBeDefined()
  const failed = once(stream, 'error')
  fail?.(Object.assign(new Error('File too large'), { code: 'EFBIG' }))
  await failed
  connection.end()
  expect(await failure(received)).toMatchObject({ code: 'file-unwritable', exitStatus: 8 })
  expect(await connection.ending()).toBe('rst')
})

test('a file that appeared meanwhile is not overwritten, and the whole download is kept beside it', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  const file = join(folder, 'x')
  const received = download(ID, { server: server.url, to: { file } })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.write('hel')
  await expect.poll(() => existsSync(`${file}.${ID}.part`)).toBe(true)
  await writeFile(file, 'mine')
  connection.end('lo')
  expect(await failure(received)).toMatchObject({
    code: 'file-exists',
    exitStatus: 8,
    message: `Another program has created ${file} in the meantime. The whole download is in ${file}.${ID}.part.`,
  })
  // Every byte is on the disk, and that is what the sender asks about.
  expect(await connection.ending()).toBe('fin')
  expect((await readdir(folder)).sort()).toEqual(['x', `x.${ID}.part`])
  expect(await readFile(file, 'utf8')).toBe('mine')
  expect(await readFile(`${file}.${ID}.part`, 'utf8')).toBe('hello')
})

test('a file that exists is refused before the server is asked, and overwritten with force', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  await writeFile(file, 'mine')
  expect((await failure(download(ID, { server: server.url, to: { file } }))).code).toBe('file-exists')
  expect(server.connections()).toBe(0)
  const received = download(ID, { server: server.url, to: { file }, force: true })
  ;(await openDownload(server, 'Content-Length: 5')).end('hello')
  await received
  expect(await readFile(file, 'utf8')).toBe('hello')
})

test("a sender's name that is taken is refused before anything is consumed", async () => {
  const server = await rawServer()
  const folder = await tempDir()
  await symlink('nowhere', join(folder, 'file.txt'))
  const received = download(ID, { server: server.url, to: { folder } })
  await answerLook(server)
  expect((await failure(received)).code).toBe('file-exists')
  expect(server.connections()).toBe(1)
})

test('a folder that is not there is refused before the server is asked', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'nowhere', 'x')
  expect(await failure(download(ID, { server: server.url, to: { file } }))).toMatchObject({
    code: 'file-unwritable',
  })
  const folder = await tempDir()
  const error = await failure(download(ID, { server: server.url, to: { file: folder } }))
  expect(error.message).toContain('is a folder. Name a file in it')
  expect(server.connections()).toBe(0)
})

test("another download's .part is left alone", async () => {
  const server = await rawServer()
  const folder = await tempDir()
  await writeFile(join(folder, 'x.part'), 'theirs')
  // Of a download that ended a minute ago, in whatever way.
  await utimes(join(folder, 'x.part'), new Date(), new Date(Date.now() - 60_000))
  const received = download(ID, { server: server.url, to: { file: join(folder, 'x') } })
  ;(await openDownload(server, 'Content-Length: 5')).end('hello')
  await received
  expect((await readdir(folder)).sort()).toEqual(['x', 'x.part'])
  expect(await readFile(join(folder, 'x.part'), 'utf8')).toBe('theirs')
})

test('the chunked form has no size and ends with its last chunk', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, to: { file } })
  const connection = await openDownload(server, 'Transfer-Encoding: chunked')
  connection.end(chunk('hel') + chunk('lo') + LAST_CHUNK)
  expect(await received).toMatchObject({ size: undefined, bytes: 5 })
  expect(await readFile(file, 'utf8')).toBe('hello')
  expect(await connection.ending()).toBe('fin')
})

test('an empty file is a file', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, to: { file } })
  ;(await openDownload(server, 'Content-Length: 0')).end()
  expect(await received).toMatchObject({ bytes: 0 })
  expect(await readFile(file, 'utf8')).toBe('')
})

const BROKEN = {
  'short, then FIN': { headers: ['Content-Length: 9'], body: 'hello', isReset: false },
  'short, then RST': { headers: ['Content-Length: 9'], body: 'hello', isReset: true },
  'chunked without a last chunk': {
    headers: ['Transfer-Encoding: chunked'],
    body: chunk('hello'),
    isReset: false,
  },
  'chunked, then RST': { headers: ['Transfer-Encoding: chunked'], body: chunk('hello'), isReset: true },
  'over-long': { headers: ['Content-Length: 3'], body: 'hello', isReset: false },
  'chunked and over-long': {
    headers: ['Transfer-Encoding: chunked'],
    body: `${chunk('hello')}${LAST_CHUNK}hello`,
    isReset: false,
  },
  'of no declared length at all': { headers: [], body: 'hello', isReset: false },
} as const

for (const [name, { headers, body, isReset }] of Object.entries(BROKEN))
  test(`a download that is not whole leaves no file, and the server sees no FIN: ${name}`, async () => {
    const server = await rawServer()
    const folder = await tempDir()
    const received = download(ID, { server: server.url, to: { file: join(folder, 'x') } })
    const connection = await openDownload(server, ...headers)
    connection.write(body)
    if (isReset) {
      await expect.poll(() => existsSync(join(folder, `x.${ID}.part`))).toBe(true)
      connection.reset()
    } else connection.end()
    expect(await failure(received)).toMatchObject({ code: 'incomplete', exitStatus: 5 })
    expect(await connection.ending()).toBe('rst')
    expect(await readdir(folder)).toEqual([])
  })

test('what comes after the last byte is noticed up to the end of the connection', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  let bytesSeen = 0
  const received = download(ID, {
    server: server.url,
    to: { file: join(folder, 'x') },
    onProgress(bytes) {
      bytesSeen = bytes
    },
  })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.write('hello')
  await expect.poll(() => bytesSeen).toBe(5)
  connection.end('more')
  expect((await failure(received)).code).toBe('incomplete')
  expect(await connection.ending()).toBe('rst')
  expect(await readdir(folder)).toEqual([])
})

test('an interruption resets the connection and leaves nothing', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  const interrupt = new AbortController()
  const received = download(ID, {
    server: server.url,
    to: { file: join(folder, 'x') },
    signal: interrupt.signal,
  })
  const connection = await openDownload(server, 'Content-Length: 9')
  connection.write('hello')
  await expect.poll(() => existsSync(join(folder, `x.${ID}.part`))).toBe(true)
  interrupt.abort()
  expect(await failure(received)).toMatchObject({ code: 'interrupted', exitStatus: 130 })
  expect(await connection.ending()).toBe('rst')
  expect(await readdir(folder)).toEqual([])
})

test('an interruption with every byte here, but not yet written, is no delivery', async () => {
  const server = await rawServer()
  const interrupt = new AbortController()
  const stream = new Writable({ write: () => interrupt.abort() })
  const received = download(ID, { server: server.url, to: { stream }, signal: interrupt.signal })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  expect((await failure(received)).code).toBe('interrupted')
  expect(await connection.ending()).toBe('rst')
})

test('an output that cannot be written resets the connection', async () => {
  const server = await rawServer()
  const stream = new Writable({
    write: (_bytes, _encoding, callback) =>
      callback(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' })),
  })
  const received = download(ID, { server: server.url, to: { stream } })
  const connection = await openDownload(server, 'Content-Length: 9')
  connection.write('hello')
  expect(await failure(received)).toMatchObject({ code: 'file-unwritable', exitStatus: 8 })
  expect(await connection.ending()).toBe('rst')
})

test('a full disk is said, and nothing is left', async () => {
  const server = await rawServer()
  const received = download(ID, { server: server.url, to: { file: '/dev/full' } })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  const error = await failure(received)
  expect([error.code, error.message]).toEqual([
    'file-unwritable',
    'Cannot write the output: the disk is full. The link is used up: ask the sender to send the file again.',
  ])
  expect(await connection.ending()).toBe('rst')
  expect(existsSync('/dev/full')).toBe(true)
})

const NAMES = {
  '../../x': 'x',
  '.bashrc': 'bashrc',
  '-rf': 'rf',
  'a\\b.txt': 'b.txt',
  '..': `ess-${ID}`,
  '/etc/passwd': 'passwd',
} as const

for (const [given, safe] of Object.entries(NAMES))
  test(`the name ${given} becomes ${safe}, in the folder and nowhere else`, async () => {
    const server = await rawServer()
    const outer = await tempDir()
    const folder = join(outer, 'a', 'b')
    await mkdir(folder, { recursive: true })
    const disposition = `Content-Disposition: attachment; filename="${given.replaceAll('\\', '\\\\')}"`
    const received = download(ID, { server: server.url, to: { folder } })
    await answerLook(server, disposition)
    const connection = await openDownload(server, 'Content-Length: 5', disposition)
    connection.end('hello')
    expect(await received).toMatchObject({ path: join(folder, safe) })
    expect(await readdir(outer)).toEqual(['a'])
    expect(await readdir(folder)).toEqual([safe])
  })

test('a name of the URL stands in for a missing one', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  const received = download(`${server.url}/${ID}/na%20me.txt`, { to: { folder } })
  await answerLook(server, 'Content-Disposition: attachment')
  const connection = await openDownload(server, 'Content-Length: 5', 'Content-Disposition: attachment')
  connection.end('hello')
  expect(await received).toMatchObject({ name: 'na me.txt' })
})

test('it asks for no compression, waits when told to, and unpacks nothing', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, wait: 7, to: { file } })
  const connection = await openDownload(server, 'Content-Length: 5', 'Content-Encoding: gzip')
  expect(connection.text()).toMatch(new RegExp(`^GET /${ID}\\?wait=7 HTTP/1\\.1\\r\\n`))
  expect(connection.text()).not.toMatch(/accept-encoding/i)
  connection.end('hello')
  await received
  expect(await readFile(file, 'utf8')).toBe('hello')
})

for (const [status, code, exitStatus] of [
  [404, 'not-found', 4],
  [410, 'gone', 4],
  [409, 'busy', 3],
  [502, 'sender-lost', 5],
  [503, 'too-many-sockets', 6],
] as const)
  test(`a ${status} is told as ${code}`, async () => {
    const server = await rawServer()
    const file = join(await tempDir(), 'x')
    const received = download(ID, { server: server.url, to: { file } })
    const connection = await acceptGet(server)
    expect(connection.text()).toMatch(/accept: .*application\/problem\+json/i)
    connection.end(problem(status, code, 'the words'))
    expect(await failure(received)).toMatchObject({ code, exitStatus, message: 'the words' })
    expect(existsSync(file)).toBe(false)
  })

for (const [name, head] of [
  ['a page', 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>'],
  ['a foreign download', downloadHead('Content-Length: 5').replace(ID, 'zyxwvutsrqpo')],
  ['a 404 page', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'],
] as const)
  test(`something that is not ESS is found out: ${name}`, async () => {
    const server = await rawServer()
    const file = join(await tempDir(), 'x')
    const received = download(ID, { server: server.url, to: { file } })
    const connection = await acceptGet(server)
    connection.end(head)
    expect(await failure(received)).toMatchObject({ code: 'not-ess', exitStatus: 6 })
    expect(existsSync(file)).toBe(false)
  })

test.each([
  ['is not there', LAST_CHUNK],
  ['is another number', '0\r\nEss-Length: 4\r\n\r\n'],
])('a download that ends well, but whose promised length %s, is not whole', async (_what, end) => {
  const server = await rawServer()
  const folder = await tempDir()
  const received = failure(download(ID, { server: server.url, to: { file: join(folder, 'x') } }))
  const connection = await openDownload(server, 'Transfer-Encoding: chunked', 'Trailer: Ess-Length')
  connection.end(chunk('hello') + end)
  expect(await received).toMatchObject({ code: 'incomplete' })
  expect(await connection.ending()).toBe('rst')
  expect(await readdir(folder)).toEqual([])
})

test('a download whose promised length is right is whole', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, to: { file } })
  const connection = await openDownload(server, 'Transfer-Encoding: chunked', 'Trailer: Ess-Length')
  expect(connection.text()).toMatch(/\r\nte: trailers\r\n/i)
  connection.end(`${chunk('hello')}0\r\nEss-Length: 5\r\n\r\n`)
  expect(await received).toMatchObject({ bytes: 5 })
  expect(await readFile(file, 'utf8')).toBe('hello')
})
