import { appendFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { openFile, type Source, send } from '../../../client/index.js'
import { EssError, type StatusEvent } from '../../../shared/index.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { ID, LAST_CHUNK, openUpload, problem, tell, untilUploaded } from '../../helpers/client-wire.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

/** The failure a transfer ends with. */
async function failure(sending: { readonly verdict: Promise<unknown> }): Promise<EssError> {
  const error = await within(
    DEADLINE_MS,
    'the transfer fails',
    sending.verdict.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  if (error instanceof EssError) return error
  throw new Error(`Expected an EssError, got ${error}`)
}

async function fileOf(content: string | Uint8Array, name = 'file.txt'): Promise<string> {
  const path = join(await tempDir(), name)
  await writeFile(path, content)
  return path
}

/** A source that says when it is read. */
function watched(content: string): Source & { readCount: number; isClosed: boolean } {
  const source = {
    name: 'watched',
    size: content.length,
    readCount: 0,
    isClosed: false,
    async *read() {
      source.readCount++
      yield Buffer.from(content)
    },
    async close() {
      source.isClosed = true
    },
  }
  return source
}

test('the head goes out at once and says what is known of the file', async () => {
  const server = await rawServer()
  const sending = send(await fileOf('hello', 'grüße "1".txt'), { server: `${server.url}/base/`, ttl: 60 })
  const connection = await server.accept()
  await connection.until(/\r\n\r\n$/)
  const head = connection.text()
  expect(head).toMatch(/^POST \/base\/\?ttl=60 HTTP\/1\.1\r\n/)
  expect(head).toMatch(/\r\naccept: application\/x-ndjson/i)
  expect(head).toMatch(/\r\nexpect: 100-continue\r\n/i)
  expect(head).toMatch(/\r\ncontent-length: 5\r\n/i)
  expect(head).toMatch(/\r\ncontent-type: application\/octet-stream\r\n/i)
  expect(head).toMatch(
    /\r\ncontent-disposition: attachment; .*filename\*=UTF-8''gr%C3%BC%C3%9Fe%20%221%22\.txt\r\n/i,
  )
  expect(head).not.toMatch(/accept-encoding/i)
  connection.end(problem(413, 'too-large', 'Too large.'))
  expect((await failure(sending)).code).toBe('too-large')
})

test('nothing is read before a receiver is connected', async () => {
  const server = await rawServer()
  const source = watched('hello')
  const sending = send(source, { server: server.url })
  const connection = await openUpload(server)
  tell(connection, { event: 'waiting', secondsLeft: 9 })
  for await (const event of sending) {
    if (event.event === 'waiting') {
      expect(source.readCount).toBe(0)
      expect(connection.text()).toMatch(/\r\n\r\n$/)
      tell(connection, { event: 'connected' })
      await connection.until(/\r\n\r\nhello$/)
      tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
      connection.end(LAST_CHUNK)
    }
  }
  expect(await sending.verdict).toMatchObject({ event: 'delivered', bytes: 5 })
  expect(source).toMatchObject({ readCount: 1, isClosed: true })
  expect(await connection.ending()).toBe('fin')
})

test('a piped stream stays paused until then, and goes in the chunked form', async () => {
  const server = await rawServer()
  const stream = new PassThrough()
  stream.write('piped')
  const sending = send(stream, { server: server.url, name: 'p.txt' })
  const connection = await openUpload(server)
  expect(connection.text()).toMatch(/transfer-encoding: chunked/i)
  expect(connection.text()).toContain('filename="p.txt"')
  expect(stream.readableLength).toBe(5)
  tell(connection, { event: 'connected' })
  await connection.until(/5\r\npiped\r\n/)
  stream.end()
  await connection.until(/0\r\n\r\n$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: false })
  connection.end(LAST_CHUNK)
  expect(await sending.verdict).toMatchObject({ confirmed: false })
})

test('all events come in their order, also to a late reader, and unknown ones are left out', async () => {
  const server = await rawServer()
  const sending = send(watched('hello'), { server: server.url })
  const connection = await openUpload(server)
  tell(connection, { event: 'surprise' })
  tell(connection, { event: 'connected', more: 1 })
  await connection.until(/hello$/)
  tell(connection, { event: 'progress', bytes: 2, total: 5 })
  tell(connection, { event: 'progress', bytes: 5, total: 5 })
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  await sending.verdict
  const events: StatusEvent[] = []
  for await (const event of sending) events.push(event)
  expect(events.map(({ event }) => event)).toEqual(['opened', 'connected', 'progress', 'delivered'])
  expect(events[2]).toMatchObject({ bytes: 5 })
})

test('a delivered event is the verdict, however the connection ends after it', async () => {
  const server = await rawServer()
  const sending = send(watched('hello'), { server: server.url })
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end()
  expect(await sending.verdict).toMatchObject({ event: 'delivered' })
})

test('a failed event is the verdict while the body is still being written', async () => {
  const server = await rawServer()
  const endless = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(64 * 1024)
    })(),
  )
  const sending = send(endless, { server: server.url })
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  await connection.until(/\0{100}/)
  connection.pause()
  tell(connection, {
    event: 'failed',
    problem: { type: 'urn:ess:problem:too-large', title: 't', detail: 'more than 5 bytes' },
    bytes: 3,
  })
  connection.end()
  const error = await failure(sending)
  expect(error.code).toBe('too-large')
  expect(error.message).toBe('more than 5 bytes')
  expect(error.exitStatus).toBe(3)
  expect(endless.destroyed).toBe(true)
})

test('head, failed line and end in one packet lose nothing', async () => {
  const server = await rawServer()
  const sending = send(watched('hello'), { server: server.url })
  const connection = await server.accept()
  await connection.until(/\r\n\r\n/)
  const line = (event: object) => {
    const text = `${JSON.stringify(event)}\n`
    return `${text.length.toString(16)}\r\n${text}\r\n`
  }
  connection.end(
    'HTTP/1.1 201 Created\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n' +
      line({ event: 'opened', v: 1, id: ID, url: 'http://h/x', ttl: 1, expires: '', maxUploadBytes: 0 }) +
      line({ event: 'failed', problem: { type: 'urn:ess:problem:expired', title: 'Nobody came' }, bytes: 0 }),
  )
  expect((await failure(sending)).code).toBe('expired')
})

for (const ending of ['clean end', 'cut', 'reset'] as const)
  test(`a status stream that ends without a verdict is a lost connection: ${ending}`, async () => {
    const server = await rawServer()
    const source = watched('hello')
    const sending = send(source, { server: server.url })
    const connection = await openUpload(server)
    await within(DEADLINE_MS, 'the first event', sending[Symbol.asyncIterator]().next())
    if (ending === 'clean end') connection.end(LAST_CHUNK)
    else if (ending === 'cut') connection.end()
    else connection.reset()
    const error = await failure(sending)
    expect([error.code, error.exitStatus]).toEqual(['connection-lost', 5])
    expect(source).toMatchObject({ readCount: 0, isClosed: true })
  })

test('a failure reaches a caller that only iterates', async () => {
  const server = await rawServer()
  const sending = send(watched('hello'), { server: server.url })
  const connection = await openUpload(server)
  connection.end()
  await expect(async () => {
    for await (const _event of sending);
  }).rejects.toMatchObject({ code: 'connection-lost' })
})

test('a refusal is told in its own words', async () => {
  const server = await rawServer()
  const source = watched('hello')
  const sending = send(source, { server: server.url })
  const connection = await server.accept()
  await connection.until(/\r\n\r\n/)
  connection.end(problem(413, 'too-large', 'at most 3 bytes'))
  expect(await failure(sending)).toMatchObject({ code: 'too-large', message: 'at most 3 bytes' })
  expect(source.readCount).toBe(0)
})

test('a refusal of a later version keeps its words', async () => {
  const server = await rawServer()
  const sending = send(watched('hello'), { server: server.url })
  const connection = await server.accept()
  await connection.until(/\r\n\r\n/)
  connection.end(problem(403, 'bad-moon', 'not tonight'))
  expect(await failure(sending)).toMatchObject({ code: 'bad-request', message: 'not tonight' })
})

const STRANGERS = {
  'a page': 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>',
  'a 404 page': 'HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno',
  'a redirect': 'HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n',
  'other NDJSON':
    'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 8\r\n\r\n{"a":1}\n',
  'a stream that begins in the middle':
    'HTTP/1.1 201 Created\r\nContent-Type: application/x-ndjson\r\nContent-Length: 22\r\n\r\n{"event":"connected"}\n',
  'no HTTP at all': 'SSH-2.0-OpenSSH_9.2\r\n',
} as const

for (const [name, answer] of Object.entries(STRANGERS))
  test(`something that is not ESS is found out: ${name}`, async () => {
    const server = await rawServer()
    const sending = send(watched('hello'), { server: server.url })
    const connection = await server.accept()
    await connection.until(/\r\n\r\n/)
    connection.end(answer)
    const error = await failure(sending)
    expect([error.code, error.exitStatus]).toEqual(['not-ess', 6])
    expect(error.message).not.toContain('\n')
  })

test('a server that is not there is said with its URL and the cause', async () => {
  const sending = send(watched('hello'), { server: 'http://127.0.0.1:1' })
  const error = await failure(sending)
  expect([error.code, error.exitStatus]).toEqual(['server-unreachable', 6])
  expect(error.message).toBe(
    'No ESS server at 127.0.0.1:1. Start one with ess-server, or name yours with --server or ESS_SERVER.',
  )
})

test('a server without TLS is said to be unreachable under https', async () => {
  const server = await rawServer()
  const sending = send(watched('hello'), { server: server.url.replace('http:', 'https:') })
  const connection = await server.accept()
  await connection.until(/./s)
  connection.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  expect((await failure(sending)).code).toBe('server-unreachable')
})

for (const [name, change] of [
  ['shorter', (path: string) => truncate(path, 3)],
  ['longer', (path: string) => appendFile(path, '!')],
] as const)
  test(`a file that became ${name} is never taken for a whole one`, async () => {
    const server = await rawServer()
    const path = await fileOf('hello')
    const sending = send(path, { server: server.url })
    const connection = await openUpload(server)
    expect(connection.text()).toMatch(/content-length: 5\r\n/i)
    await change(path)
    tell(connection, { event: 'connected' })
    const error = await failure(sending)
    expect([error.code, error.exitStatus]).toEqual(['file-changed', 8])
    expect(await connection.ending()).toBe('rst')
    expect(connection.text()).not.toMatch(/hello/)
  })

const BLOCK_BYTES = 2 * 1024 * 1024
for (const size of [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
  test(`a file of ${size} bytes arrives as it is`, async () => {
    const server = await rawServer()
    const content = 'x'.repeat(size)
    const sending = send(await fileOf(content), { server: server.url })
    const connection = await openUpload(server)
    tell(connection, { event: 'connected' })
    expect(await untilUploaded(connection)).toBe(size)
    tell(connection, { event: 'delivered', bytes: size, confirmed: true })
    connection.end(LAST_CHUNK)
    expect(await sending.verdict).toMatchObject({ bytes: size })
    // An empty file has no length yet: it may grow.
    const body = connection.text().slice(connection.text().indexOf('\r\n\r\n') + 4)
    expect(body === (size === 0 ? LAST_CHUNK : content)).toBe(true)
  })

test('an unreadable or missing file is said before anything is sent', async () => {
  const server = await rawServer()
  const missing = join(await tempDir(), 'missing')
  expect(await failure(send(missing, { server: server.url }))).toMatchObject({ code: 'file-unreadable' })
  await expect(openFile(await tempDir())).rejects.toMatchObject({ code: 'usage' })
  expect(server.connections()).toBe(0)
})

test('an input that breaks midway resets the upload', async () => {
  const server = await rawServer()
  const stream = new PassThrough()
  const sending = send(stream, { server: server.url })
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  stream.write('half')
  await connection.until(/half/)
  stream.destroy(new Error('the disk is on fire'))
  const error = await failure(sending)
  expect(error.code).toBe('file-unreadable')
  expect(error.message).toContain('the disk is on fire')
  expect(await connection.ending()).toBe('rst')
})

test('an interruption resets the connection, before and while bytes move', async () => {
  const server = await rawServer()
  for (const isMoving of [false, true]) {
    const interrupt = new AbortController()
    const stream = new PassThrough()
    const sending = send(stream, { server: server.url, signal: interrupt.signal })
    const connection = await openUpload(server)
    if (isMoving) {
      tell(connection, { event: 'connected' })
      stream.write('some')
      await connection.until(/some/)
    } else await within(DEADLINE_MS, 'the first event', sending[Symbol.asyncIterator]().next())
    interrupt.abort()
    expect(await failure(sending)).toMatchObject({ code: 'interrupted', exitStatus: 130 })
    expect(await connection.ending()).toBe('rst')
    expect(stream.destroyed).toBe(true)
  }
})

test('an interruption that came first sends nothing', async () => {
  const server = await rawServer()
  const sending = send(watched('hello'), { server: server.url, signal: AbortSignal.abort() })
  expect((await failure(sending)).code).toBe('interrupted')
})
