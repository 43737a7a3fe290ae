import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { download, get, type Sending, type SendOptions, type Source, send } from '../../client/index.js'
import { EssError, type StatusEvent } from '../../shared/index.js'
import { ess } from '../helpers/client-io.js'
import { type RawConnection, type RawServer, rawServer } from '../helpers/client-raw-server.js'
import { downloadHead, LAST_CHUNK, openUpload, problem, tell } from '../helpers/client-wire.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

/** As a node of a cluster gives them. */
const ID = 'AbCdEfGhIjKlMnO'
const TOKEN = 't'.repeat(43)
const NEXT_TOKEN = 'n'.repeat(43)

const CONTENT = 'hello, world'

async function fileOf(content: string): Promise<string> {
  const path = join(await tempDir(), 'file.txt')
  await writeFile(path, content)
  return path
}

/** A transfer that has told its link. */
async function opened(server: RawServer, options: SendOptions = {}, token = TOKEN) {
  const sending = send(await fileOf(CONTENT), { server: server.url, ...options })
  return { sending, events: follow(sending), ...(await openedBy(server, token)) }
}

async function openedBy(server: RawServer, token = TOKEN): Promise<{ upload: RawConnection }> {
  const upload = await openUpload(server, {
    id: ID,
    url: `${server.url}/${ID}`,
    upload: `${server.url}/uploads/${token}`,
    resumeWithin: 120,
  })
  return { upload }
}

/** The events so far. */
function follow(sending: Sending): StatusEvent[] {
  const events: StatusEvent[] = []
  void (async () => {
    for await (const event of sending) events.push(event)
  })().catch(() => {}) // The verdict tells it too.
  return events
}

const namesOf = (events: readonly StatusEvent[]) => events.map(({ event }) => event)

async function failure(sending: Sending): Promise<EssError> {
  const error: unknown = await within(
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

/** The next request, which must be this one. */
async function asked(server: RawServer, method: string, path: RegExp): Promise<RawConnection> {
  const connection = await server.accept()
  const [, how, where] = await connection.until(/^(\w+) (\S+) [\s\S]*\r\n\r\n/)
  expect(how).toBe(method)
  expect(where).toMatch(path)
  return connection
}

const REOPENING = new RegExp(`^/uploads/${TOKEN}\\?ttl=\\d+$`)
const NODE_AWAY = problem(503, 'node-away', 'The part of this server that may have this is away.')
const HEAD_AWAY = 'HTTP/1.1 503 Away\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n'

/** Opens the link again, under another token. */
function openAgain(server: RawServer, connection: RawConnection): void {
  const upload = `${server.url}/uploads/${NEXT_TOKEN}`
  const url = `${server.url}/${ID}`
  const body = JSON.stringify({
    id: ID,
    url,
    upload,
    events: `${upload}/events`,
    expires: '',
    resumeWithin: 120,
  })
  connection.end(
    `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}

/** Says where the upload goes on, and takes the two requests that follow. */
async function goneOn(server: RawServer, offset: number) {
  const where = await asked(server, 'HEAD', new RegExp(`^/uploads/${NEXT_TOKEN}$`))
  where.end(`HTTP/1.1 204 No Content\r\nUpload-Offset: ${offset}\r\nUpload-Complete: ?0\r\n\r\n`)
  const events = await openUpload(server, { id: ID, url: `${server.url}/${ID}`, resumeWithin: 120 })
  expect(events.text()).toMatch(new RegExp(`^GET /uploads/${NEXT_TOKEN}/events `))
  const rest = await asked(server, 'PATCH', new RegExp(`^/uploads/${NEXT_TOKEN}$`))
  expect(rest.text()).toMatch(new RegExp(`\\r\\nupload-offset: ${offset}\\r\\n`, 'i'))
  rest.write('HTTP/1.1 100 Continue\r\n\r\n')
  return { events, rest }
}

/** Takes the body from there, and says that it is delivered. */
async function deliver(
  { events, rest }: { events: RawConnection; rest: RawConnection },
  body: string,
  bytes = CONTENT.length,
) {
  await rest.until(new RegExp(`${body}$`))
  const delivered = { event: 'delivered', bytes, confirmed: true }
  tell(events, delivered)
  events.end(LAST_CHUNK)
  const answer = `${JSON.stringify(delivered)}\n`
  rest.end(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`,
  )
}

test('a link that waits is opened again at another node, as it was', async () => {
  const server = await rawServer()
  const { sending, events, upload } = await opened(server, { token: 'secret', name: 'näme.txt' })
  tell(upload, { event: 'moved' })
  upload.end(LAST_CHUNK)
  const reopening = await asked(server, 'POST', REOPENING)
  for (const field of [
    /ess-reopen: AbCdEfGhIjKlMnO/i,
    /ess-connected: \?0/i,
    /ess-resume: rewind/i,
    /upload-offset: 0/i,
    /upload-length: 12/i,
    /content-length: 0/i,
    /content-type: application\/octet-stream/i,
    /content-disposition: attachment; filename="[^"]+"; filename\*=UTF-8''n%C3%A4me\.txt/i,
    /authorization: Bearer secret/i,
    /accept: application\/json/i,
  ])
    expect(reopening.text()).toMatch(new RegExp(`\\r\\n${field.source}`, 'i'))
  const [, ttl] = /ttl=(\d+)/.exec(reopening.text()) ?? []
  expect(Number(ttl)).toBeGreaterThan(590)
  expect(Number(ttl)).toBeLessThanOrEqual(600)
  openAgain(server, reopening)
  const again = await goneOn(server, 0)
  tell(again.events, { event: 'waiting', secondsLeft: 590 })
  tell(again.events, { event: 'connected' })
  await deliver(again, CONTENT)
  expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({ event: 'delivered' })
  await until('all events are read', () => namesOf(events).at(-1) === 'delivered')
  expect(namesOf(events)).toEqual(['opened', 'moved', 'waiting', 'connected', 'delivered'])
})

test('a transfer goes on at another node from where its receiver was, and then from where it asks', async () => {
  const server = await rawServer()
  const { sending, events, upload } = await opened(server)
  tell(upload, { event: 'connected' })
  await upload.until(new RegExp(`${CONTENT}$`))
  tell(upload, { event: 'progress', bytes: 5, total: 12 })
  tell(upload, { event: 'moved' })
  upload.end(LAST_CHUNK)
  const reopening = await asked(server, 'POST', REOPENING)
  expect(reopening.text()).toMatch(/\r\ness-connected: \?1\r\n/i)
  expect(reopening.text()).toMatch(/\r\nupload-offset: 5\r\n/i)
  openAgain(server, reopening)
  const first = await goneOn(server, 5)
  tell(first.events, { event: 'interrupted', side: 'receiver', bytes: 5, secondsLeft: 120 })
  // The receiver got more than this sender was told.
  const third = '3'.repeat(43)
  tell(first.events, { event: 'rewind', offset: 7, upload: `${server.url}/uploads/${third}` })
  first.events.end(LAST_CHUNK)
  const old = await asked(server, 'HEAD', new RegExp(`^/uploads/${NEXT_TOKEN}$`))
  old.end(`HTTP/1.1 409 Conflict\r\nLocation: ${server.url}/uploads/${third}\r\nUpload-Offset: 7\r\n\r\n`)
  const where = await asked(server, 'HEAD', new RegExp(`^/uploads/${third}$`))
  where.end('HTTP/1.1 204 No Content\r\nUpload-Offset: 7\r\nUpload-Complete: ?0\r\n\r\n')
  const again = await openUpload(server, { id: ID, url: `${server.url}/${ID}`, resumeWithin: 120 })
  const rest = await asked(server, 'PATCH', new RegExp(`^/uploads/${third}$`))
  rest.write('HTTP/1.1 100 Continue\r\n\r\n')
  tell(again, { event: 'resumed', bytes: 7 })
  await deliver({ events: again, rest }, CONTENT.slice(7))
  await within(DEADLINE_MS, 'the verdict', sending.verdict)
  await until('all events are read', () => namesOf(events).at(-1) === 'delivered')
  expect(namesOf(events)).toEqual([
    ...['opened', 'connected', 'progress', 'moved', 'interrupted', 'rewind', 'resumed', 'delivered'],
  ])
})

test.each([
  ['another that is away', NODE_AWAY],
  ['another that stops', problem(503, 'shutting-down', 'This node stops.')],
  ['another that is full', problem(503, 'too-many-sockets', 'This node is full.')],
  ['the share of a client', problem(429, 'over-share', 'You have too many.')],
  ['a proxy', 'HTTP/1.1 503 Away\r\nContent-Type: text/html\r\nConnection: close\r\n\r\nNo server'],
  ['a cut', undefined],
])('after the death of a node, no refusal of %s ends the transfer', async (_whose, refusal) => {
  const server = await rawServer()
  const { sending, events, upload } = await opened(server)
  upload.reset()
  const where = await asked(server, 'HEAD', new RegExp(`^/uploads/${TOKEN}$`))
  where.end(HEAD_AWAY)
  const refused = await asked(server, 'POST', REOPENING)
  if (refusal === undefined) refused.reset()
  else refused.end(refusal)
  openAgain(server, await asked(server, 'POST', REOPENING))
  const again = await goneOn(server, 0)
  tell(again.events, { event: 'waiting', secondsLeft: 590 })
  tell(again.events, { event: 'connected' })
  await deliver(again, CONTENT)
  await within(DEADLINE_MS, 'the verdict', sending.verdict)
  await until('all events are read', () => namesOf(events).at(-1) === 'delivered')
  expect(namesOf(events)).toEqual([
    ...['opened', 'interrupted', 'interrupted', 'moved', 'waiting', 'connected', 'delivered'],
  ])
})

test.each([
  [404, 'not-found'],
  [405, 'method-not-allowed'],
  [409, 'already-open'],
  [410, 'gone'],
])(
  'a node that answers %i has nothing to open again, and the file may have arrived',
  async (status, code) => {
    const server = await rawServer()
    const { sending, upload } = await opened(server)
    tell(upload, { event: 'connected' })
    await upload.until(new RegExp(`${CONTENT}$`))
    tell(upload, { event: 'moved' })
    upload.end(LAST_CHUNK)
    const reopening = await asked(server, 'POST', REOPENING)
    reopening.end(problem(status, code, 'No.'))
    if (status === 410) {
      const where = await asked(server, 'HEAD', new RegExp(`^/uploads/${TOKEN}$`))
      where.end(HEAD_AWAY)
    }
    const error = await failure(sending)
    expect(error.code).toBe('connection-lost')
    expect(error.message).toMatch(/Ask the receiver whether the file arrived/)
  },
)

test('a link that is over has nothing to open again, and its verdict is asked for', async () => {
  const server = await rawServer()
  const { sending, events, upload } = await opened(server)
  tell(upload, { event: 'connected' })
  await upload.until(new RegExp(`${CONTENT}$`))
  upload.reset()
  const away = await asked(server, 'HEAD', new RegExp(`^/uploads/${TOKEN}$`))
  away.end(HEAD_AWAY)
  const reopening = await asked(server, 'POST', REOPENING)
  reopening.end(problem(410, 'gone', 'It is over.'))
  const where = await asked(server, 'HEAD', new RegExp(`^/uploads/${TOKEN}$`))
  where.end('HTTP/1.1 204 No Content\r\nUpload-Offset: 12\r\nUpload-Complete: ?1\r\n\r\n')
  const told = await openUpload(server, { id: ID, url: `${server.url}/${ID}` })
  expect(told.text()).toMatch(new RegExp(`^GET /uploads/${TOKEN}/events `))
  tell(told, { event: 'delivered', bytes: CONTENT.length, confirmed: true })
  told.end(LAST_CHUNK)
  expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({ event: 'delivered' })
  await until('all events are read', () => namesOf(events).at(-1) === 'delivered')
})

test('a server that is no cluster is never asked to open a link again', async () => {
  const server = await rawServer()
  const { sending, upload } = await opened(server, {}, 't'.repeat(22))
  upload.reset()
  for (let tries = 0; tries < 3; tries++) {
    const where = await asked(server, 'HEAD', /^\/uploads\/t{22}$/)
    where.end(HEAD_AWAY)
  }
  const where = await asked(server, 'HEAD', /^\/uploads\/t{22}$/)
  where.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n')
  const error = await failure(sending)
  expect(error.code).toBe('connection-lost')
  expect(error.message).toMatch(/the server no longer knows this transfer: it may have been restarted\./)
})

test('a sender in pieces goes on at another node, too', async () => {
  const server = await rawServer()
  const content = 'a'.repeat(9 * 1024 * 1024)
  const sending = send(await fileOf(content), { server: server.url, reserve: true })
  const reserving = await asked(server, 'POST', /^\/reserve\?/)
  const upload = `${server.url}/uploads/${TOKEN}`
  const body = JSON.stringify({ id: ID, url: `${server.url}/${ID}`, upload, events: `${upload}/events` })
  reserving.end(
    `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const events = await openUpload(server, { id: ID, url: `${server.url}/${ID}`, resumeWithin: 120 })
  const piece = await asked(server, 'PATCH', new RegExp(`^/uploads/${TOKEN}$`))
  tell(events, { event: 'waiting', secondsLeft: 500 })
  piece.end(problem(503, 'moved', 'This node stops.'))
  const reopening = await asked(server, 'POST', new RegExp(`^/uploads/${TOKEN}\\?ttl=500$`))
  openAgain(server, reopening)
  const where = await asked(server, 'HEAD', new RegExp(`^/uploads/${NEXT_TOKEN}$`))
  where.end('HTTP/1.1 204 No Content\r\nUpload-Offset: 0\r\nUpload-Complete: ?0\r\n\r\n')
  await openUpload(server, { id: ID, url: `${server.url}/${ID}`, resumeWithin: 120 })
  const again = await asked(server, 'PATCH', new RegExp(`^/uploads/${NEXT_TOKEN}$`))
  expect(again.text()).toMatch(/\r\nupload-complete: \?0\r\n/i)
  again.end(problem(410, 'cancelled', 'It is cancelled.'))
  expect((await failure(sending)).code).toBe('cancelled')
})

test('an interruption cancels the upload where it is now', async () => {
  const server = await rawServer()
  const abort = new AbortController()
  const { sending, upload } = await opened(server, { signal: abort.signal })
  tell(upload, { event: 'moved' })
  upload.end(LAST_CHUNK)
  openAgain(server, await asked(server, 'POST', REOPENING))
  await goneOn(server, 0)
  abort.abort()
  const cancelling = await asked(server, 'DELETE', new RegExp(`^/uploads/${NEXT_TOKEN}$`))
  cancelling.end('HTTP/1.1 204 No Content\r\n\r\n')
  expect((await failure(sending)).code).toBe('interrupted')
})

test('a pipe begins where it still can, when the last word of its node is old', async () => {
  const server = await rawServer()
  const content = 'abcdefghij'
  const source: Source = {
    name: undefined,
    size: undefined,
    reach: 4,
    async *read(from = 0) {
      yield Buffer.from(content.slice(from))
    },
    close: async () => {},
  }
  const sending = send(source, { server: server.url })
  const { upload } = await openedBy(server)
  tell(upload, { event: 'connected' })
  // All of it was read, and the node tells of none of it.
  await upload.until(/abcdefghij\r\n0\r\n\r\n$/)
  upload.reset()
  const where = await asked(server, 'HEAD', new RegExp(`^/uploads/${TOKEN}$`))
  where.end(HEAD_AWAY)
  const reopening = await asked(server, 'POST', REOPENING)
  expect(reopening.text()).toMatch(/\r\ness-resume: window=4\r\n/i)
  expect(reopening.text()).toMatch(/\r\nupload-offset: 6\r\n/i)
  openAgain(server, reopening)
  const again = await goneOn(server, 6)
  tell(again.events, { event: 'resumed', bytes: 6 })
  await deliver(again, 'ghij\r\n0\r\n\r\n', content.length)
  expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({ event: 'delivered' })
})

describe('the screen', () => {
  test('says that the server restarts, and no word of a loss', async () => {
    const server = await rawServer()
    const sender = ess(['send', '--server', server.url, await fileOf(CONTENT)], { isWatched: true })
    const { upload } = await openedBy(server)
    tell(upload, { event: 'moved' })
    upload.end(LAST_CHUNK)
    const first = await asked(server, 'POST', REOPENING)
    first.end(NODE_AWAY)
    const reopening = await asked(server, 'POST', REOPENING)
    expect(sender.stderr()).toMatch(/This server is restarting; moving to another one\. \d+ min/)
    openAgain(server, reopening)
    const again = await goneOn(server, 0)
    tell(again.events, { event: 'waiting', secondsLeft: 590 })
    tell(again.events, { event: 'connected' })
    await deliver(again, CONTENT)
    expect(await sender.status).toBe(0)
    expect(sender.stderr()).toMatch(/Delivered file\.txt, 12 B\.\n/)
    expect(sender.stderr()).not.toMatch(/lost/)
  })
})

describe('a receiver whose link has no node', () => {
  /** Refuses two requests for the head and one for the file, and then gives it. */
  async function nodeComesBack(server: RawServer): Promise<void> {
    const first = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    first.end(HEAD_AWAY)
    const cut = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    cut.reset()
    const look = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    look.end(headOf())
    const refused = await asked(server, 'GET', new RegExp(`^/${ID}$`))
    refused.end(NODE_AWAY)
    const answer = await asked(server, 'GET', new RegExp(`^/${ID}$`))
    answer.end(`${headOf()}hello`)
  }

  const headOf = () => downloadHead('Content-Length: 5').replace(/ETag: "\w+"/, `ETag: "${ID}"`)

  test('asks until its sender has opened it again', async () => {
    const server = await rawServer()
    const told: number[] = []
    const received = get(ID, { server: server.url, onInterrupted: (secondsLeft) => told.push(secondsLeft) })
    await nodeComesBack(server)
    expect((await buffer(await within(DEADLINE_MS, 'the download begins', received))).toString()).toBe(
      'hello',
    )
    expect(told.length).toBe(3)
  })

  test('does so for a file', async () => {
    const server = await rawServer()
    const file = join(await tempDir(), 'copy')
    const received = download(ID, { server: server.url, to: { file } })
    await nodeComesBack(server)
    expect(await within(DEADLINE_MS, 'the file is here', received)).toMatchObject({ bytes: 5 })
  })

  test('says so', async () => {
    const server = await rawServer()
    const cwd = await tempDir()
    const receiver = ess(['get', '--server', server.url, ID, '-o', 'copy'], { isWatched: true, cwd })
    await nodeComesBack(server)
    expect(await receiver.status).toBe(0)
    expect(receiver.stderr()).toMatch(/A part of the server is away, trying again\. \d+ min/)
    expect(receiver.stderr()).toMatch(/Received copy, 5 B\.\n/)
  })

  test('can be interrupted meanwhile', async () => {
    const server = await rawServer()
    const abort = new AbortController()
    const received = get(ID, {
      server: server.url,
      signal: abort.signal,
      onInterrupted: () => abort.abort(),
    })
    received.catch(() => {})
    const look = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    look.end(HEAD_AWAY)
    await expect(within(DEADLINE_MS, 'it fails', received)).rejects.toMatchObject({ code: 'interrupted' })
  })

  test('is told at once by a server that is no cluster', async () => {
    const server = await rawServer()
    const short = ID.slice(0, 12)
    const received = get(short, { server: server.url }).catch((error: unknown) => error)
    const look = await asked(server, 'HEAD', new RegExp(`^/${short}$`))
    look.end(HEAD_AWAY)
    const refused = await asked(server, 'GET', new RegExp(`^/${short}$`))
    refused.end(NODE_AWAY)
    expect(await within(DEADLINE_MS, 'it fails', received)).toMatchObject({ code: 'node-away' })
    expect(server.connections()).toBe(2)
  })
})

describe('a receiver that has everything', () => {
  /** Longer than a download that is never asked about. */
  const LONG_MS = 1_100

  /** Serves a download of 5 bytes that takes a while, and then has the end of its connection. */
  async function downloaded(server: RawServer, ...headers: readonly string[]): Promise<RawConnection> {
    const look = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    look.end(headOf(...headers))
    const answer = await asked(server, 'GET', new RegExp(`^/${ID}$`))
    expect(answer.text()).toMatch(/\r\ness-resume: \?1\r\n/i)
    answer.write(headOf(...headers))
    await new Promise((resolve) => setTimeout(resolve, LONG_MS))
    return answer
  }

  const headOf = (...headers: readonly string[]) =>
    downloadHead(...headers).replace(/ETag: "\w+"/, `ETag: "${ID}"`)

  const receive = async (server: RawServer) => {
    const file = join(await tempDir(), 'copy')
    return download(ID, { server: server.url, to: { file } })
  }

  const lookAgain = async (server: RawServer, answer: string) => {
    const look = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    look.end(answer)
  }

  const GONE = 'HTTP/1.1 410 Gone\r\nConnection: close\r\n\r\n'
  const KNOWN = ['Content-Length: 5', 'Accept-Ranges: bytes']

  test('asks whether its sender knows', async () => {
    const server = await rawServer()
    const received = receive(server)
    const answer = await downloaded(server, ...KNOWN)
    answer.end('hello')
    expect(await answer.ending()).toBe('fin')
    await lookAgain(server, GONE)
    expect(await within(DEADLINE_MS, 'the file is here', received)).toMatchObject({ bytes: 5 })
    expect(server.connections()).toBe(3)
  })

  test('asks after a short download too, if its connection was reset behind the last byte', async () => {
    const server = await rawServer()
    const received = receive(server)
    const look = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    look.end(headOf(...KNOWN))
    const answer = await asked(server, 'GET', new RegExp(`^/${ID}$`))
    answer.write(`${headOf(...KNOWN)}hello`)
    answer.reset()
    await lookAgain(server, GONE)
    expect(await within(DEADLINE_MS, 'the file is here', received)).toMatchObject({ bytes: 5 })
    expect(server.connections()).toBe(3)
  })

  test('asks nothing after a short download that ended in good order', async () => {
    const server = await rawServer()
    const received = receive(server)
    const look = await asked(server, 'HEAD', new RegExp(`^/${ID}$`))
    look.end(headOf(...KNOWN))
    const answer = await asked(server, 'GET', new RegExp(`^/${ID}$`))
    answer.end(`${headOf(...KNOWN)}hello`)
    expect(await within(DEADLINE_MS, 'the file is here', received)).toMatchObject({ bytes: 5 })
    expect(server.connections()).toBe(2)
  })

  test('tells the node where its sender is by now', async () => {
    const server = await rawServer()
    const received = receive(server)
    const answer = await downloaded(server, ...KNOWN)
    answer.end('hello')
    await lookAgain(server, HEAD_AWAY)
    await lookAgain(server, headOf(...KNOWN))
    const early = await asked(server, 'DELETE', new RegExp(`^/${ID}$`))
    early.end(NODE_AWAY)
    await lookAgain(server, headOf(...KNOWN))
    const told = await asked(server, 'DELETE', new RegExp(`^/${ID}$`))
    expect(told.text()).toMatch(/\r\ness-received: 5\r\n/i)
    told.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    expect(await within(DEADLINE_MS, 'the file is here', received)).toMatchObject({ bytes: 5 })
  })

  test('asks for the rest of a file of unknown length, of which there is none', async () => {
    const server = await rawServer()
    const received = receive(server)
    const unknown = ['Transfer-Encoding: chunked', 'Ess-Offset: 0']
    const answer = await downloaded(server, ...unknown)
    answer.end('5\r\nhello\r\n0\r\n\r\n')
    await lookAgain(server, headOf(...unknown))
    await lookAgain(server, headOf(...unknown))
    const rest = await asked(server, 'GET', new RegExp(`^/${ID}$`))
    expect(rest.text()).toMatch(/\r\ness-offset: 5\r\n/i)
    rest.write(headOf('Transfer-Encoding: chunked', 'Ess-Offset: 5'))
    rest.end('0\r\n\r\n')
    expect(await rest.ending()).toBe('fin')
    expect(await within(DEADLINE_MS, 'the file is here', received)).toMatchObject({ bytes: 5 })
  })
})
