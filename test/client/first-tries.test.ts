import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { download, get, openFile, type SendOptions, type Source, send } from '../../client/index.js'
import { EssError } from '../../shared/index.js'
import { certificate } from '../helpers/certificate.js'
import { ess } from '../helpers/client-io.js'
import { type RawConnection, type RawServer, rawServer } from '../helpers/client-raw-server.js'
import {
  downloadHead,
  ID,
  LAST_CHUNK,
  openUpload,
  problem,
  tell,
  untilUploaded,
} from '../helpers/client-wire.js'
import { freePort } from '../helpers/free-port.js'
import { needs } from '../helpers/needs.js'
import { listening } from '../helpers/recording-proxy.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const TOKEN = 't'.repeat(22)
/** As a cluster gives them. */
const SIGNED_TOKEN = 's'.repeat(43)
const CONTENT = 'hello'

/** What stops at a wait of ten seconds, and the pause and the tries that may follow it. */
const WHOLE_WAIT_MS = 30_000

const STOPPING = problem(503, 'shutting-down', 'This server is stopping.')
const BAD_GATEWAY = page(502, '<h1>502 Bad Gateway</h1>', 'Content-Type: text/html')

/** An answer of a proxy's own. */
function page(status: number, body: string, ...fields: readonly string[]): string {
  const lines = [`HTTP/1.1 ${status} Away`, ...fields, `Content-Length: ${body.length}`, 'Connection: close']
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** An answer that says when to come again. */
function withRetryAfter(seconds: number, answer: string): string {
  return answer.replace('\r\n', `\r\nRetry-After: ${seconds}\r\n`)
}

/** What stands for a server that is away, and the code of its error. */
const AWAY: Readonly<Record<string, { readonly answer: string | 'fin' | 'rst'; readonly code: string }>> = {
  'a server that stops': { answer: STOPPING, code: 'shutting-down' },
  'a server that stops and is alone': { answer: withRetryAfter(30, STOPPING), code: 'shutting-down' },
  Caddy: { answer: page(502, '', 'Server: Caddy'), code: 'not-ess' },
  nginx: { answer: BAD_GATEWAY, code: 'not-ess' },
  haproxy: { answer: page(503, '<html>', 'Content-Type: text/html'), code: 'not-ess' },
  Traefik: { answer: page(502, 'Bad Gateway'), code: 'not-ess' },
  'a gateway that gave up': { answer: page(504, 'Gateway Timeout'), code: 'not-ess' },
  'a balancer that closes': { answer: 'fin', code: 'connection-lost' },
  'a balancer that resets': { answer: 'rst', code: 'connection-lost' },
}

/** Takes the next request, and answers so. */
async function turnAway(server: RawServer, answer: string | 'fin' | 'rst'): Promise<RawConnection> {
  const connection = await asked(server)
  if (answer === 'fin') connection.end()
  else if (answer === 'rst') connection.reset()
  else connection.end(answer)
  return connection
}

/** The next request; what only looks whether this server speaks TLS is not one. */
async function asked(server: RawServer): Promise<RawConnection> {
  for (;;) {
    const connection = await server.accept()
    // A handshake of TLS begins with no letter.
    const [, method] = await connection.until(/^([A-Z]+) [\s\S]*?\r\n\r\n|^[^A-Z]/)
    if (method !== undefined) return connection
    connection.reset()
  }
}

/** What was told of a server that is away. */
function listener() {
  const told: { readonly secondsLeft: number; readonly code: string }[] = []
  return {
    told,
    onAway: (secondsLeft: number, { code }: EssError) => void told.push({ secondsLeft, code }),
  }
}

async function failure(work: Promise<unknown>, ms = DEADLINE_MS): Promise<EssError> {
  const error: unknown = await within(
    ms,
    'it fails',
    work.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  if (error instanceof EssError) return error
  throw new Error(`Expected an EssError, got ${error}`)
}

/** A source that counts how often it is read. */
function watched(): Source & { readCount: number } {
  const source = {
    name: 'watched',
    size: CONTENT.length,
    readCount: 0,
    async *read() {
      source.readCount++
      yield Buffer.from(CONTENT)
    },
    async close() {},
  }
  return source
}

/** Takes an upload, and has all of it. */
async function deliver(upload: RawConnection, body: RegExp): Promise<void> {
  tell(upload, { event: 'connected' })
  await upload.until(body)
  tell(upload, { event: 'delivered', bytes: await untilUploaded(upload), confirmed: true })
  upload.end(LAST_CHUNK)
}

describe('a sender', () => {
  test.each(Object.entries(AWAY))(
    'that meets %s asks again, and has read nothing by then',
    async (_, away) => {
      const server = await rawServer()
      const source = watched()
      const { told, onAway } = listener()
      const sending = send(source, { server: server.url, onAway })
      await turnAway(server, away.answer)
      const again = await asked(server)
      expect(source.readCount).toBe(0)
      // The wait is over, however the second request ends.
      again.end(problem(413, 'too-large', 'Too large.'))
      expect((await failure(sending.verdict)).code).toBe('too-large')
      expect(told.map(({ code }) => code)).toEqual([away.code])
      expect(told[0]?.secondsLeft).toBe(10)
      expect(source.readCount).toBe(0)
    },
  )

  const FORMS: Readonly<
    Record<string, (folder: string) => Promise<readonly [string | Readable, SendOptions]>>
  > = {
    'a file': async (folder) => [join(folder, 'file'), {}],
    'a pipe': async () => [Readable.from([Buffer.from(CONTENT)]), {}],
    'a folder': async (folder) => [folder, {}],
    'an encrypted file': async (folder) => [join(folder, 'file'), { encrypt: true }],
    'an encrypted pipe': async () => [Readable.from([Buffer.from(CONTENT)]), { encrypt: true }],
  }

  test.each(Object.entries(FORMS))('of %s sends the same when the server is back', async (_, form) => {
    const folder = join(await tempDir(), 'folder')
    await mkdir(folder)
    await writeFile(join(folder, 'file'), CONTENT)
    const server = await rawServer()
    const [source, options] = await form(folder)
    const sending = send(source, { server: server.url, ...options })
    const first = await turnAway(server, STOPPING)
    const events: string[] = []
    const follow = (async () => {
      for await (const event of sending) events.push(event.event)
    })()
    const upload = await openUpload(server)
    const [head] = await upload.until(/^[\s\S]*?\r\n\r\n/)
    expect(head).toBe(/^[\s\S]*?\r\n\r\n/.exec(first.text())?.[0])
    tell(upload, { event: 'connected' })
    if (options.encrypt === undefined) await upload.until(/hello/)
    else await upload.until(/age-encryption\.org/)
    tell(upload, { event: 'delivered', bytes: await untilUploaded(upload), confirmed: true })
    upload.end(LAST_CHUNK)
    await within(DEADLINE_MS, 'the events end', follow)
    expect(events).toEqual(['opened', 'connected', 'delivered'])
    expect(await sending.verdict).toMatchObject({ event: 'delivered' })
  })

  test('of a text, and of what is piped in, does so by the command', async () => {
    for (const args of [['--text', CONTENT], []]) {
      const server = await rawServer()
      const stdin = new PassThrough()
      const sender = ess(['send', '--server', server.url, ...args], { stdin })
      await turnAway(server, BAD_GATEWAY)
      stdin.end(CONTENT)
      await deliver(await openUpload(server), /hello/)
      expect(await sender.status).toBe(0)
      expect(sender.stdout()).toBe(`http://127.0.0.1/${ID}\n`)
      // A trouble that the next try mends is none for a script.
      expect(sender.stderr()).toBe('')
    }
  })

  test.each([
    ['a server that is full', problem(503, 'too-many-sockets', 'Full.'), 'too-many-sockets'],
    ['the share of a client', withRetryAfter(1, problem(429, 'over-share', 'Too many.')), 'over-share'],
    ['the limit of a proxy', page(429, 'Too many'), 'too-many-requests'],
    ['a fault of a proxy', page(500, 'Oops'), 'not-ess'],
    ['a proxy that is out of order for an hour', withRetryAfter(3600, BAD_GATEWAY), 'not-ess'],
    ['a fault of the server', problem(500, 'internal-error', 'Oops.'), 'internal-error'],
    ['the end of a transfer', problem(502, 'sender-lost', 'Lost.'), 'sender-lost'],
    ['an answer that broke off behind its 100', 'HTTP/1.1 100 Continue\r\n\r\n', 'connection-lost'],
    ['an answer that broke off in its head', 'HTTP/1.1 201 Crea', 'connection-lost'],
    [
      'an answer that broke off before its link',
      'HTTP/1.1 201 Created\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n',
      'connection-lost',
    ],
  ])('that meets %s is told at once', async (_what, answer, code) => {
    const server = await rawServer()
    const { told, onAway } = listener()
    const sending = send(watched(), { server: server.url, onAway })
    await turnAway(server, answer)
    expect((await failure(sending.verdict)).code).toBe(code)
    expect(told).toEqual([])
    expect(server.connections()).toBe(1)
  })

  test('that meets no server at all is told at once', async () => {
    const { told, onAway } = listener()
    const server = `http://127.0.0.1:${await freePort()}`
    expect((await failure(send(watched(), { server, onAway }).verdict)).code).toBe('server-unreachable')
    const nowhere = { server: 'http://ess.invalid', onAway }
    expect((await failure(send(watched(), nowhere).verdict)).code).toBe('server-unreachable')
    expect(told).toEqual([])
  })

  test('that speaks plain HTTP to a server with TLS is told at once', async (context) => {
    needs(context, 'openssl')
    const { path, keyPath } = await certificate()
    const { url } = await startServerHere('--tls-cert', path, '--tls-key', keyPath)
    const { told, onAway } = listener()
    const sending = send(watched(), { server: url.replace('https:', 'http:'), onAway })
    const error = await failure(sending.verdict)
    expect(error).toMatchObject({ code: 'connection-lost', message: expect.stringMatching(/try https:/) })
    for (const id of [ID, `${ID}aBc`]) {
      const getting = get(id, { server: url.replace('https:', 'http:'), onInterrupted: onAway })
      expect(await failure(getting)).toMatchObject({ code: 'connection-lost' })
    }
    expect(told).toEqual([])
  })

  test('comes again when it was told to', async () => {
    const server = await rawServer()
    const sending = send(watched(), { server: server.url })
    await turnAway(server, withRetryAfter(2, BAD_GATEWAY))
    const refusedAt = performance.now()
    await turnAway(server, problem(413, 'too-large', 'Too large.'))
    // Less would be a pause of its own. A timer may be a little early.
    expect(performance.now() - refusedAt).toBeGreaterThan(1_900)
    expect((await failure(sending.verdict)).code).toBe('too-large')
  })

  test('can be interrupted meanwhile', async () => {
    const server = await rawServer()
    const abort = new AbortController()
    const sending = send(watched(), { server: server.url, signal: abort.signal, onAway: () => abort.abort() })
    await turnAway(server, BAD_GATEWAY)
    expect((await failure(sending.verdict)).code).toBe('interrupted')
    expect(server.connections()).toBe(1)
  })
})

describe('a sender that reserves', () => {
  test.each(Object.entries(AWAY))('and meets %s asks again', async (_what, { answer, code }) => {
    const server = await rawServer()
    const source = watched()
    const { told, onAway } = listener()
    const sending = send(source, { server: server.url, reserve: true, onAway })
    const first = await turnAway(server, answer)
    expect(first.text()).toMatch(/^POST \/reserve\?/)
    const again = await turnAway(server, problem(429, 'over-share', 'Too many.'))
    expect(again.text()).toBe(first.text())
    expect((await failure(sending.verdict)).code).toBe('over-share')
    expect(told.map((one) => one.code)).toEqual([code])
    expect(source.readCount).toBe(0)
  })

  /** Takes a reservation, and gives it this token. */
  async function reserved(server: RawServer, token: string): Promise<void> {
    const connection = await asked(server)
    expect(connection.text()).toMatch(/^POST \/reserve\?/)
    const upload = `${server.url}/uploads/${token}`
    const body = JSON.stringify({ id: ID, url: `${server.url}/${ID}`, upload, events: `${upload}/events` })
    connection.end(
      `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
  }

  /** Takes the cancellation of a reservation that was lost, and the next request. */
  async function cancelledAndAsked(server: RawServer): Promise<RawConnection> {
    const connections = [await asked(server), await asked(server)]
    const isCancellation = (one: RawConnection) => one.text().startsWith('DELETE /uploads/')
    connections.find(isCancellation)?.end('HTTP/1.1 204 No Content\r\n\r\n')
    const other = connections.filter((one) => !isCancellation(one))
    expect(other.length).toBe(1)
    // It was just seen to be there.
    return other[0] as RawConnection
  }

  test.each([
    ['at a server that is alone', 'a proxy', TOKEN, BAD_GATEWAY],
    ['at a server that is alone', 'a balancer that closes', TOKEN, 'fin'],
    ['in a cluster', 'another node', SIGNED_TOKEN, problem(503, 'node-away', 'Away.')],
    ['in a cluster', 'a node that has let it go', SIGNED_TOKEN, problem(503, 'moved', 'It moved.')],
    ['in a cluster', 'a node that knows of its end', SIGNED_TOKEN, problem(410, 'gone', 'Over.')],
    ['in a cluster', 'a node that knows nothing', SIGNED_TOKEN, problem(404, 'not-found', 'Nothing here.')],
  ])(
    '%s, and loses that to %s before it has told a link, reserves again',
    async (_where, _whose, token, answer) => {
      const server = await rawServer()
      const source = watched()
      const { told, onAway } = listener()
      const sending = send(source, { server: server.url, reserve: true, onAway })
      await reserved(server, token)
      await turnAway(server, answer)
      const again = await cancelledAndAsked(server)
      expect(again.text()).toMatch(/^POST \/reserve\?/)
      again.end(problem(429, 'over-share', 'Too many.'))
      expect((await failure(sending.verdict)).code).toBe('over-share')
      expect(told.length).toBe(1)
      expect(source.readCount).toBe(0)
    },
  )

  test('elsewhere than its upload resource is told at once', async () => {
    const server = await rawServer()
    const sending = send(watched(), { server: server.url, reserve: true })
    await reserved(server, TOKEN)
    await turnAway(server, problem(404, 'not-found', 'Nothing here.'))
    expect((await failure(sending.verdict)).code).toBe('not-found')
  })

  test('keeps the link that it has told, whatever becomes of it', async () => {
    const server = await rawServer()
    const { told, onAway } = listener()
    const sending = send(watched(), { server: server.url, reserve: true, onAway })
    await reserved(server, TOKEN)
    const events = await openUpload(server)
    tell(events, { event: 'reserved', secondsLeft: 600 })
    await turnAway(server, BAD_GATEWAY)
    expect((await failure(sending.verdict)).code).toBe('not-ess')
    expect(told).toEqual([])
  })
})

describe('a receiver', () => {
  /** Is away for two requests of the head and two of the file, and then gives it. */
  async function comesBack(server: RawServer): Promise<void> {
    for (const answer of [BAD_GATEWAY, 'fin'] as const)
      expect((await turnAway(server, answer)).text()).toMatch(/^HEAD /)
    const look = await asked(server)
    look.end(downloadHead('Content-Length: 5'))
    for (const answer of [STOPPING, 'rst'] as const)
      expect((await turnAway(server, answer)).text()).toMatch(/^GET /)
    const answer = await asked(server)
    answer.end(`${downloadHead('Content-Length: 5')}hello`)
  }

  test('of a stream asks again', async () => {
    const server = await rawServer()
    const { told, onAway } = listener()
    const received = get(ID, { server: server.url, onInterrupted: onAway })
    await comesBack(server)
    const bytes = await buffer(await within(DEADLINE_MS, 'the download begins', received))
    expect(bytes.toString()).toBe(CONTENT)
    expect(told.map(({ code }) => code)).toEqual([
      ...['not-ess', 'connection-lost', 'shutting-down', 'connection-lost'],
    ])
  })

  test('of a file asks again', async () => {
    const server = await rawServer()
    const file = join(await tempDir(), 'copy')
    const received = download(ID, { server: server.url, to: { file } })
    await comesBack(server)
    expect(await within(DEADLINE_MS, 'the file is here', received)).toMatchObject({ bytes: 5 })
  })

  test('whose lost request the server still serves asks until it does not', async () => {
    const server = await rawServer()
    const received = get(ID, { server: server.url })
    const look = await asked(server)
    look.end(downloadHead('Content-Length: 5'))
    await turnAway(server, 'rst')
    await turnAway(server, problem(409, 'busy', 'Busy.'))
    const answer = await asked(server)
    answer.end(`${downloadHead('Content-Length: 5')}hello`)
    const bytes = await buffer(await within(DEADLINE_MS, 'the download begins', received))
    expect(bytes.toString()).toBe(CONTENT)
  })

  test('that is told that a file is busy, and of no trouble before, takes that for the end', async () => {
    const server = await rawServer()
    const received = get(ID, { server: server.url })
    const look = await asked(server)
    look.end(downloadHead('Content-Length: 5'))
    await turnAway(server, problem(409, 'busy', 'Busy.'))
    expect((await failure(received)).code).toBe('busy')
  })
})

test('after ten seconds each is told what it would have been told at once', async () => {
  /** Answers all requests so. */
  async function always(answer: string | 'fin' | 'rst') {
    const server = await rawServer()
    const requests: string[] = []
    void (async () => {
      for (;;) requests.push((await turnAway(server, answer)).text().split(' ', 1).join())
    })().catch(() => {}) // No client comes any more.
    return { url: server.url, requests }
  }

  /** Says once that it stops, and is gone. */
  async function stopped(): Promise<string> {
    const server = createServer((_request, response) => {
      const [, body = ''] = STOPPING.split('\r\n\r\n')
      response.writeHead(503, { 'content-type': 'application/problem+json', connection: 'close' }).end(body)
      server.close()
    })
    const url = `http://127.0.0.1:${await listening(server)}`
    onTestFinished(() => void server.close())
    return url
  }

  const [stopping, gateway, closing] = await Promise.all([
    always(withRetryAfter(30, STOPPING)),
    always(BAD_GATEWAY),
    always('fin'),
  ])
  const [looked, lost] = await Promise.all([always(BAD_GATEWAY), always('rst')])
  const file = await fileOf(CONTENT)
  const sent = async (server: string, options: SendOptions = {}) =>
    await failure(send(await openFile(file), { server, ...options }).verdict, WHOLE_WAIT_MS)
  const [refused, unreached, cut, gone, unseen, unheard] = await Promise.all([
    sent(stopping.url),
    sent(gateway.url, { reserve: true }),
    sent(closing.url),
    sent(await stopped()),
    failure(get(ID, { server: looked.url }), WHOLE_WAIT_MS),
    failure(download(ID, { server: lost.url, to: { file: `${file}-copy` } }), WHOLE_WAIT_MS),
  ])
  expect(refused).toMatchObject({ code: 'shutting-down', exitStatus: 6, retryAfter: 30 })
  expect(unreached).toMatchObject({ code: 'not-ess', exitStatus: 6 })
  expect(unreached.message).toMatch(/answered with HTTP 502 and a web page/)
  expect(cut).toMatchObject({ code: 'connection-lost', exitStatus: 5 })
  // What it said before it went.
  expect(gone).toMatchObject({ code: 'shutting-down', message: 'This server is stopping.' })
  expect(unseen).toMatchObject({ code: 'not-ess', exitStatus: 6 })
  expect(unheard).toMatchObject({ code: 'connection-lost', exitStatus: 5 })
  for (const { requests } of [stopping, gateway, closing]) {
    expect(requests.length).toBeGreaterThan(4)
    // A server that stops has other things to do.
    expect(requests.length).toBeLessThan(20)
  }
  // The HEAD was asked often enough, and the GET says it in the server's own words.
  for (const { requests } of [looked, lost])
    expect([requests.at(-1), requests.filter((method) => method === 'GET').length]).toEqual(['GET', 1])
}, 60_000)

async function fileOf(content: string): Promise<string> {
  const path = join(await tempDir(), 'file.txt')
  await writeFile(path, content)
  return path
}

describe('the screen', () => {
  test('says what is waited for, and then what usually comes', async () => {
    const server = await rawServer()
    const sender = ess(['send', '--server', server.url, await fileOf(CONTENT)], { isWatched: true })
    await turnAway(server, STOPPING)
    await turnAway(server, STOPPING)
    const upload = await openUpload(server)
    expect(sender.stderr()).toMatch(/The server is away, trying again\. \d+ s left\./)
    await sender.untilStdout(/http/)
    await deliver(upload, /hello/)
    expect(await sender.status).toBe(0)
    expect(sender.stderr()).toMatch(/Delivered file\.txt, 5 B\.\n$/)
  })

  test('says the same to a receiver', async () => {
    const server = await rawServer()
    const cwd = await tempDir()
    const receiver = ess(['get', '--server', server.url, ID, '-o', 'copy'], { isWatched: true, cwd })
    await turnAway(server, BAD_GATEWAY)
    const look = await asked(server)
    look.end(downloadHead('Content-Length: 5'))
    const answer = await asked(server)
    answer.end(`${downloadHead('Content-Length: 5')}hello`)
    expect(await receiver.status).toBe(0)
    expect(receiver.stderr()).toMatch(/The server is away, trying again\. \d+ s left\./)
    expect(receiver.stderr()).toMatch(/Received copy, 5 B\.\n/)
  })

  test('tells a script in one line, and later of a loss too', async () => {
    const server = await rawServer()
    const sender = ess(['send', '--server', server.url, await fileOf(CONTENT)])
    for (let tries = 0; tries < 3; tries++) await turnAway(server, STOPPING)
    const upload = await openUpload(server, {
      upload: `${server.url}/uploads/${TOKEN}`,
      resumeWithin: 120,
    })
    await sender.untilStdout(/http/)
    expect(sender.stderr()).toMatch(/^ess: The server is away, trying again\. \d+ s left\.\n$/)
    upload.reset()
    await turnAway(server, BAD_GATEWAY)
    await until('it says so', () => /\ness: Connection lost, trying again\. /.test(sender.stderr()))
    sender.interrupt()
    await turnAway(server, 'HTTP/1.1 204 No Content\r\n\r\n')
    expect(await sender.status).toBe(130)
  })

  test('says nothing to who wants errors alone', async () => {
    const server = await rawServer()
    const sender = ess(['send', '-q', '--server', server.url, await fileOf(CONTENT)], { isWatched: true })
    for (let tries = 0; tries < 3; tries++) await turnAway(server, STOPPING)
    await deliver(await openUpload(server), /hello/)
    expect(await sender.status).toBe(0)
    expect(sender.stderr()).toBe('')
  })

  test('lets Ctrl-C end it at once', async () => {
    const server = await rawServer()
    const sender = ess(['send', '--server', server.url, await fileOf(CONTENT)], { isWatched: true })
    await turnAway(server, STOPPING)
    await until('it waits', () => /trying again/.test(sender.stderr()))
    sender.interrupt()
    expect(await sender.status).toBe(130)
    expect(sender.stdout()).toBe('')
    expect(server.connections()).toBe(1)
  })
})
