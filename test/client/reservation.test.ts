import { writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { download, type Sending, type SendOptions, send } from '../../client/index.js'
import { EssError, type StatusEvent } from '../../shared/index.js'
import { type RawConnection, type RawServer, rawServer } from '../helpers/client-raw-server.js'
import { chunk, ID, LAST_CHUNK, openUpload, problem, tell } from '../helpers/client-wire.js'
import { needs } from '../helpers/needs.js'
import { runEss } from '../helpers/run-ess.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const TOKEN = 'tttttttttttttttttttttt'

async function failure(sending: Sending): Promise<EssError> {
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

async function fileOf(content: string | Uint8Array): Promise<string> {
  const path = join(await tempDir(), 'file.txt')
  await writeFile(path, content)
  return path
}

/** Answers a request for a reservation. */
async function reserveAt(server: RawServer): Promise<RawConnection> {
  const asked = await server.accept()
  await asked.until(/\r\n\r\n/)
  const url = `${server.url}/${ID}`
  const upload = `${server.url}/base/uploads/${TOKEN}`
  const body = JSON.stringify({ id: ID, url, upload, events: `${upload}/events`, expires: '' })
  asked.end(
    `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  return asked
}

/** Takes the events' request and the upload that follows it; the state has been told. */
async function followed(server: RawServer): Promise<{ events: RawConnection; put: RawConnection }> {
  const events = await openUpload(server)
  expect(events.text()).toMatch(new RegExp(`^GET /(base/)?uploads/${TOKEN}/events HTTP`))
  tell(events, { event: 'reserved', secondsLeft: 9 })
  const put = await server.accept()
  await put.until(/\r\n\r\n$/)
  return { events, put }
}

function finalAnswer(bytes: number): string {
  const body = `${JSON.stringify({ event: 'delivered', bytes, confirmed: true })}\n`
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

async function startReserved(server: RawServer, options: SendOptions = {}) {
  const sending = send(await fileOf('hello'), { server: `${server.url}/base`, reserve: true, ...options })
  const asked = await reserveAt(server)
  return { sending, asked, ...(await followed(server)) }
}

test('a reservation is asked for, and the body goes when a receiver is there', async () => {
  const server = await rawServer()
  const { sending, asked, events, put } = await startReserved(server, { ttl: 60 })
  expect(asked.text()).toMatch(/^POST \/base\/reserve\?filename=file.txt&ttl=60 HTTP\/1\.1\r\n/)
  expect(asked.text()).toMatch(/\r\naccept: application\/json/i)
  expect(asked.text()).toMatch(/\r\ncontent-length: 0\r\n/i)
  expect(put.text()).toMatch(new RegExp(`^PUT /base/uploads/${TOKEN} HTTP/1\\.1\\r\\n`))
  expect(put.text()).toMatch(/\r\ncontent-length: 5\r\n/i)
  tell(events, { event: 'waiting', secondsLeft: 9 })
  const seen: string[] = []
  for await (const { event } of sending) {
    seen.push(event)
    if (event === 'waiting') {
      expect(put.text()).toMatch(/\r\n\r\n$/)
      tell(events, { event: 'connected' })
      await put.until(/hello$/)
      tell(events, { event: 'delivered', bytes: 5, confirmed: true })
      events.end(LAST_CHUNK)
      put.end(finalAnswer(5))
    }
  }
  expect(seen).toEqual(['opened', 'reserved', 'waiting', 'connected', 'delivered'])
  expect(await sending.verdict).toMatchObject({ bytes: 5, confirmed: true })
  expect(await put.ending()).toBe('fin')
})

test('a proxy that wants the whole body before it asks the server gets it', async () => {
  const server = await rawServer()
  const { sending, events, put } = await startReserved(server)
  // No `waiting` comes: the server has not heard of the upload.
  await put.until(/hello$/)
  tell(events, { event: 'waiting', secondsLeft: 9 })
  tell(events, { event: 'connected' })
  tell(events, { event: 'delivered', bytes: 5, confirmed: true })
  events.end(LAST_CHUNK)
  put.end(finalAnswer(5))
  expect(await sending.verdict).toMatchObject({ bytes: 5 })
})

test('the events are the verdict when the answer is lost, and the answer when they are', async () => {
  const server = await rawServer()
  const first = await startReserved(server)
  tell(first.events, { event: 'connected' })
  await first.put.until(/hello$/)
  first.put.reset()
  tell(first.events, { event: 'delivered', bytes: 5, confirmed: true })
  expect(await first.sending.verdict).toMatchObject({ bytes: 5 })
  const second = await startReserved(server)
  tell(second.events, { event: 'connected' })
  await second.put.until(/hello$/)
  second.events.reset()
  second.put.end(finalAnswer(5))
  expect(await second.sending.verdict).toMatchObject({ bytes: 5 })
})

test('an answer that contradicts the events is a failure', async () => {
  const server = await rawServer()
  const { sending, events, put } = await startReserved(server)
  tell(events, { event: 'connected' })
  await put.until(/hello$/)
  tell(events, { event: 'delivered', bytes: 5, confirmed: true })
  put.end(problem(502, 'receiver-lost', 'not at all'))
  expect(await failure(sending)).toMatchObject({ code: 'receiver-lost', message: 'not at all' })
})

test('a lost transfer, an upload that is refused, and no word at all', async () => {
  const server = await rawServer()
  const lost = await startReserved(server)
  tell(lost.events, {
    event: 'failed',
    problem: { type: 'urn:ess:problem:expired', title: 'Nobody came' },
    bytes: 0,
  })
  expect(await failure(lost.sending)).toMatchObject({ code: 'expired', exitStatus: 4 })
  expect(await lost.put.ending()).toBe('rst')
  const refused = await startReserved(server)
  refused.put.end(problem(413, 'too-large', 'at most 3 bytes'))
  expect(await failure(refused.sending)).toMatchObject({ code: 'too-large', message: 'at most 3 bytes' })
  const silent = await startReserved(server)
  silent.put.reset()
  silent.events.reset()
  expect((await failure(silent.sending)).code).toBe('connection-lost')
})

test('an interruption resets both connections, and takes back what no upload has reached', async () => {
  const server = await rawServer()
  const interrupt = new AbortController()
  const { sending, events, put } = await startReserved(server, { signal: interrupt.signal })
  interrupt.abort()
  const takenBack = await server.accept()
  await takenBack.until(new RegExp(`^DELETE /base/uploads/${TOKEN} HTTP`))
  takenBack.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
  expect((await failure(sending)).code).toBe('interrupted')
  expect(await Promise.all([events.ending(), put.ending()])).toEqual(['rst', 'rst'])
})

test('an interruption takes back an upload that has arrived too, because the server would wait for its rest', async () => {
  const server = await rawServer()
  const interrupt = new AbortController()
  const { sending, events } = await startReserved(server, { signal: interrupt.signal })
  tell(events, { event: 'waiting', secondsLeft: 9 })
  for await (const event of sending) if (event.event === 'waiting') break
  interrupt.abort()
  const takenBack = await server.accept()
  await takenBack.until(new RegExp(`^DELETE /base/uploads/${TOKEN} HTTP`))
  takenBack.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
  expect((await failure(sending)).code).toBe('interrupted')
})

for (const [name, answer] of [
  ['a page', 'HTTP/1.1 201 Created\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>'],
  ['another JSON', 'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'],
  ['a 404 page', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'],
] as const)
  test(`a reservation that is not of ESS is found out: ${name}`, async () => {
    const server = await rawServer()
    const sending = send(await fileOf('hello'), { server: server.url, reserve: true })
    const asked = await server.accept()
    await asked.until(/\r\n\r\n/)
    asked.end(answer)
    expect((await failure(sending)).code).toBe('not-ess')
  })

test('a server without reservations is said to be one', async () => {
  const server = await startServerHere()
  const run = await runEss(server.url, ['send', '--reserve', await fileOf('hello')])
  const { code, stderr } = await run.ended()
  expect(stderr).toBe(
    `ess: ${server.url} takes no reservations. Send without --reserve, or ask its operator for --reservations. [method-not-allowed]\n`,
  )
  expect(code).toBe(3)
})

test('ess send --reserve and ess get, through the real server', async () => {
  const server = await startServerHere('--reservations')
  const file = await fileOf('hello')
  const sender = await runEss(server.url, ['send', '--reserve', file])
  const [, url = ''] = await sender.untilStdout(/^(http.*\/file\.txt)\n/)
  const receiver = await runEss(undefined, ['get', url, '-o', '-'])
  expect((await receiver.ended()).stdout.toString()).toBe('hello')
  expect(await sender.ended()).toMatchObject({ code: 0, stderr: '' })
})

test('a receiver that is killed midway is a failure by reservation too', async (context) => {
  needs(context, 'curl')
  const server = await startServerHere('--reservations')
  const sender = await runEss(server.url, ['send', '--json', '--reserve'], { stdin: 'open' })
  const [, url = ''] = await sender.untilStdout(/"url":"([^"]+)"/)
  const receiver = await runEss(undefined, ['get', url, '-o', '-'])
  sender.stdin.write('hel')
  await receiver.untilStdout(/hel/)
  receiver.kill('SIGKILL')
  const ending = await sender.ended()
  expect(ending.stdout.toString()).toMatch(/"failed".*receiver-lost/)
  expect(ending.code).toBe(5)
})

test('a server that takes reservations alone gets one by itself, also from a pipe', async () => {
  const server = await startServerHere('--reservations', '--no-early-response')
  const sender = await runEss(server.url, ['send', '--name', 'p.txt'], { stdin: 'piped' })
  const [, url = ''] = await sender.untilStdout(/^(http.*\/p\.txt)\n/)
  const receiver = await runEss(undefined, ['get', url, '-o', '-'])
  expect((await receiver.ended()).stdout.toString()).toBe('piped')
  expect((await sender.ended()).code).toBe(0)
})

/**
 * A proxy that passes everything on but the body of a POST, as nginx does once an answer has begun.
 * `held` counts the bytes it has of it; a sender that goes away is passed on.
 */
async function holdingProxy(port: number): Promise<{ url: string; held(): number; posts: Socket[] }> {
  let held = 0
  const posts: Socket[] = []
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    let head = ''
    let isPost = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {}) // Each passes its end on below.
    }
    client.on('close', () => upstream.destroy())
    upstream.on('data', (data: Buffer) => client.write(data)).on('close', () => client.end())
    client.on('data', (data: Buffer) => {
      if (head.includes('\r\n\r\n')) {
        if (isPost) held += data.length
        else upstream.write(data)
        return
      }
      head += data.toString('latin1')
      isPost = head.startsWith('POST / ')
      if (isPost) posts.push(client)
      upstream.write(data)
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  const address = proxy.address()
  if (typeof address !== 'object' || address === null) throw new Error('Expected a port')
  return { url: `http://127.0.0.1:${address.port}`, held: () => held, posts }
}

test('a body that a proxy holds back goes on through the upload resource', async () => {
  const server = await startServerHere('--reservations')
  const proxy = await holdingProxy(server.port)
  const content = Buffer.alloc(9 * 1024 * 1024, 'so long ')
  const sending = send(await fileOf(content), { server: proxy.url })
  const seen: StatusEvent[] = []
  const folder = await tempDir()
  let received: ReturnType<typeof download> | undefined
  for await (const event of sending) {
    seen.push(event)
    if (event.event === 'opened') {
      received = download(event.url, { to: { folder } })
      received.catch(() => {}) // Awaited below.
    }
  }
  expect(proxy.held()).toBeGreaterThan(0)
  expect(await sending.verdict).toEqual({ event: 'delivered', bytes: content.length, confirmed: true })
  expect(await received).toMatchObject({ bytes: content.length, name: 'file.txt' })
  const kinds = seen.map(({ event }) => event)
  expect(kinds.filter((kind) => kind !== 'progress')).toEqual(['opened', 'connected', 'delivered'])
  await until('the first request is over', () => proxy.posts.every((socket) => socket.destroyed))
})

test('what was piped in and is held back by a proxy goes on too', async () => {
  const server = await startServerHere('--reservations')
  const proxy = await holdingProxy(server.port)
  const sender = await runEss(proxy.url, ['send'], { stdin: 'piped' })
  const [, url = ''] = await sender.untilStdout(/^(http.*)\n/)
  const receiver = await runEss(undefined, ['get', url, '-o', '-'])
  expect((await receiver.ended()).stdout.toString()).toBe('piped')
  expect(await sender.ended()).toMatchObject({ code: 0, stderr: '' })
})

test('a pipe that is slow to begin is no body that is held back', async () => {
  const server = await rawServer()
  const stream = new PassThrough()
  const sending = send(stream, { server: server.url })
  const connection = await openUpload(server, { upload: `${server.url}/uploads/${TOKEN}` })
  tell(connection, { event: 'connected' })
  await new Promise((resolve) => setTimeout(resolve, 5_500))
  stream.end('late')
  await connection.until(/late\r\n0\r\n\r\n$/)
  tell(connection, { event: 'progress', bytes: 4 })
  tell(connection, { event: 'delivered', bytes: 4, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await sending.verdict).toMatchObject({ bytes: 4 })
})

test('bytes that arrive after all keep the first request', async () => {
  const server = await rawServer()
  const sending = send(await fileOf('hello'), { server: server.url })
  const connection = await openUpload(server, { upload: `${server.url}/uploads/${TOKEN}` })
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  const { events, put } = await followed(server)
  tell(events, { event: 'connected' })
  put.end(problem(409, 'already-open', 'it has its sender'))
  tell(connection, { event: 'delivered', bytes: 5, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await sending.verdict).toMatchObject({ bytes: 5 })
  expect(await connection.ending()).toBe('fin')
})

/** A pipe of which `hello` is out, and nothing was heard of that for so long that a proxy may hold it back. */
async function pipeInDoubt(server: RawServer) {
  const stream = new PassThrough()
  const sending = send(stream, { server: server.url })
  const upload = `${server.url}/uploads/${TOKEN}`
  const connection = await openUpload(server, { upload, resumeWithin: 120 })
  tell(connection, { event: 'connected' })
  stream.write('hello')
  await connection.until(/hello\r\n$/)
  const state = await server.accept()
  await state.until(new RegExp(`^GET /uploads/${TOKEN}/events [\\s\\S]*\\r\\n\\r\\n`))
  state.write('HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
  return { stream, sending, connection, state }
}

test('of a pipe, bytes that have arrived are not sent by another request', async () => {
  const server = await rawServer()
  const { stream, sending, connection, state } = await pipeInDoubt(server)
  tell(state, { event: 'progress', bytes: 5 })
  await state.ending()
  stream.end(', world')
  await connection.until(/, world\r\n0\r\n\r\n$/)
  tell(connection, { event: 'delivered', bytes: 12, confirmed: true })
  connection.end(LAST_CHUNK)
  expect(await sending.verdict).toMatchObject({ bytes: 12 })
  expect(server.connections()).toBe(2)
})

test('a pipe that another request was to send is not ended in the middle', async () => {
  const server = await rawServer()
  const { stream, sending, connection, state } = await pipeInDoubt(server)
  tell(state, { event: 'connected' })
  const events = await openUpload(server)
  tell(events, { event: 'connected' })
  const piece = await server.accept()
  await piece.until(/^PATCH [\s\S]*\r\n\r\n/)
  // The first bytes have arrived a moment ago, and more of them are to come.
  piece.end(problem(409, 'already-open', 'It has its sender.'))
  stream.write(', world')
  expect(await connection.ending()).toBe('rst')
  expect(connection.text()).not.toMatch(/\r\n0\r\n\r\n$/)
  const where = await server.accept()
  await where.until(/^HEAD [\s\S]*\r\n\r\n/)
  where.end('HTTP/1.1 204 No Content\r\nUpload-Offset: 5\r\nUpload-Complete: ?0\r\n\r\n')
  const again = await openUpload(server)
  tell(again, { event: 'resumed', bytes: 5 })
  const rest = await server.accept()
  await rest.until(/^PATCH [\s\S]*\r\nupload-offset: 5\r\n[\s\S]*\r\n\r\n/i)
  stream.end()
  await rest.until(/, world\r\n0\r\n\r\n$/)
  rest.write('HTTP/1.1 204 No Content\r\nUpload-Offset: 12\r\nUpload-Complete: ?0\r\n\r\n')
  await rest.until(/\r\nupload-complete: \?1\r\n[\s\S]*\r\n\r\n/i)
  tell(again, { event: 'delivered', bytes: 12, confirmed: true })
  again.end(LAST_CHUNK)
  rest.end(finalAnswer(12))
  expect(await sending.verdict).toMatchObject({ bytes: 12 })
})

test.each([
  ['a part of it', 3],
  ['more than it', 9],
])('a sender does not believe that its file is delivered when the receiver has %s', async (_what, bytes) => {
  const server = await rawServer()
  const stream = new PassThrough()
  const sending = send(stream, { server: server.url })
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  stream.end('hello')
  await connection.until(/hello\r\n0\r\n\r\n$/)
  tell(connection, { event: 'delivered', bytes, confirmed: true })
  connection.end(LAST_CHUNK)
  expect((await failure(sending)).code).toBe('incomplete')
})

test('without an upload resource there is nothing to go on by, and the first request is waited for', async () => {
  const server = await rawServer()
  const sending = send(await fileOf('hello'), { server: server.url })
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  await connection.until(/hello$/)
  await new Promise((resolve) => setTimeout(resolve, 5_500))
  expect(server.connections()).toBe(1)
  connection.write(chunk(`${JSON.stringify({ event: 'delivered', bytes: 5, confirmed: true })}\n`))
  connection.end(LAST_CHUNK)
  expect(await sending.verdict).toMatchObject({ bytes: 5 })
})
