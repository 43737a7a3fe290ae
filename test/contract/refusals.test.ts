import { describe, expect, test } from 'vitest'
import { PROBLEMS, type ProblemCode } from '../../shared/index.js'
import { type Answer, parseAnswer } from '../helpers/http-exchange.js'
import type { RawPeer } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { until } from '../helpers/within.js'
import { chunk, LAST_CHUNK } from '../server/serve.js'
import { type ContractOptions, HOSTS, type Started } from './hosts.js'
import { peersOf, UNKNOWN } from './peers-of.js'

interface Refusal {
  readonly code: ProblemCode
  readonly when: string
  readonly options?: ContractOptions
  /** True for one request that leaves nothing behind: others of the kind may come to the same server. */
  readonly isAlone?: true
  readonly meet: (here: Here) => Promise<Answer>
}

interface Here extends ReturnType<typeof peersOf> {
  readonly started: Started
  readonly port: number
}

/** One request, and what it is refused with. */
function asks(
  code: ProblemCode,
  target: string,
  headers: Record<string, string> = {},
  options: ContractOptions = {},
): Refusal {
  const when = `${target} comes with ${JSON.stringify(headers)}`
  return { code, when, options, isAlone: true, meet: ({ ask, port }) => ask(port, target, headers) }
}

async function answerOf(peer: RawPeer): Promise<Answer> {
  await peer.ending()
  peer.end()
  return parseAnswer(peer.text())
}

/** A reservation with its upload on the way, of which `body` was sent, and its receiver. */
async function uploading({ port, reserve, say }: Here, body: string) {
  const { id, upload } = await reserve(port)
  const receiver = await say(port, `GET /${id}`)
  const sender = await say(port, `PUT ${upload}`, { 'Transfer-Encoding': 'chunked' })
  await sender.write(body)
  await receiver.until(/hello/)
  return { sender, receiver, upload }
}

const SENDS = { 'Content-Length': '1' }
const PAGE = 'https://page.example/app'
const PIECE = {
  'Content-Type': 'application/partial-upload',
  'Content-Length': '1',
  'Upload-Offset': '0',
  'Upload-Complete': '?1',
}
/** A sender that can send every byte again, and a service that waits for it. */
const GOES_ON = { length: 5, headers: { 'Ess-Resume': 'rewind' } }
const FORM = { 'Content-Type': 'multipart/form-data; boundary=b', 'Content-Length': '7' }

const REFUSALS: readonly Refusal[] = [
  asks('bad-request', 'POST /?ttl=0', SENDS),
  asks('bad-request', 'POST /', { ...SENDS, 'Content-Range': 'bytes 0-0/2' }),
  asks('bad-request', 'POST /', { ...SENDS, 'Content-Type': 'multipart/form-data' }),
  asks('bad-request', 'POST /', { 'Transfer-Encoding': 'gzip, chunked' }),
  asks('bad-request', 'POST /', { ...SENDS, Host: 'a$b' }),
  asks('bad-request', 'PUT /%ff', SENDS),
  asks('bad-request', `GET /${UNKNOWN}?wait=soon`),
  {
    code: 'no-file-in-form',
    when: 'a form has no file',
    meet: async ({ say, port }) => {
      const peer = await say(port, 'POST /', FORM)
      await peer.write('--b--\r\n')
      return await answerOf(peer)
    },
  },
  ...['POST /', 'PUT /name', 'POST /reserve', 'GET /reserve'].map((target) =>
    asks('unauthorized', target, SENDS, { refuses: 'send' }),
  ),
  ...['GET', 'POST'].map((method) =>
    asks('unauthorized', `${method} /${UNKNOWN}/name`, {}, { refuses: 'receive' }),
  ),
  asks('cross-site', `POST /${UNKNOWN}`, { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }),
  ...['', 'https://elsewhere.example/app', 'https://page.example/apple'].map((Referer) =>
    asks('bad-referer', 'POST /reserve', { Referer }, { requiredReferer: PAGE }),
  ),
  asks('prefetch', `GET /${UNKNOWN}`, { 'Sec-Purpose': 'prefetch' }),
  asks('prefetch', `GET /${UNKNOWN}`, { 'Service-Worker': 'script' }),
  asks('prefetch', 'GET /reserve', { Purpose: 'preview' }),
  asks('not-found', `GET /${UNKNOWN}`),
  asks('not-found', `POST /${UNKNOWN}/name`),
  asks('not-found', `GET /${UNKNOWN}?wait=0.05`),
  asks('not-found', `GET /${UNKNOWN}`, { Prefer: 'wait=0' }),
  ...['PUT /uploads/none', 'POST /uploads/none', 'DELETE /uploads/none', 'GET /uploads/none/events'].map(
    (target) => asks('not-found', target),
  ),
  asks('not-found', `DELETE /${UNKNOWN}`),
  asks('not-found', 'PATCH /uploads/none', PIECE),
  asks('method-not-allowed', `PATCH /${UNKNOWN}`),
  asks('method-not-allowed', 'GET /uploads/none'),
  {
    code: 'busy',
    when: 'a second receiver comes',
    meet: async ({ open, connect, ask, port }) => {
      const sender = await open(port)
      await connect(port, sender)
      return await ask(port, `GET /${sender.id}`)
    },
  },
  {
    code: 'already-open',
    when: 'a second sender comes to a reservation',
    meet: async (here) => {
      const { upload } = await uploading(here, chunk('hello'))
      return await here.ask(here.port, `PUT ${upload}`, SENDS)
    },
  },
  {
    code: 'rewound',
    when: 'a sender goes on at the upload resource that a rewind has put out of use',
    options: { resumeWithin: 60 },
    meet: async (here) => {
      const { open, connect, say, ask, port } = here
      const sender = await open(port, GOES_ON)
      const receiver = await connect(port, sender)
      await sender.write('hell')
      await receiver.until(/hell$/)
      receiver.reset()
      await sender.until(/"event":"interrupted"/)
      await say(port, `GET /${sender.id}`, { Range: 'bytes=2-' })
      await sender.until(/"event":"rewind"/)
      return await ask(port, `PATCH ${sender.upload}`, { ...PIECE, 'Upload-Offset': '4' })
    },
  },
  {
    code: 'mismatching-upload-offset',
    when: 'a piece begins where the upload does not stand',
    options: { resumeWithin: 60 },
    meet: async ({ reserve, ask, port }) => {
      const { upload } = await reserve(port)
      return await ask(port, `PATCH ${upload}`, { ...PIECE, 'Upload-Offset': '3' })
    },
  },
  asks('reservation-required', 'POST /', SENDS, { earlyResponse: false }),
  asks('reservation-required', 'PUT /name', SENDS, { earlyResponse: false }),
  asks('reservation-required', 'POST /', { ...SENDS, 'User-Agent': 'wget2/2.1.0' }),
  {
    code: 'cancelled',
    when: 'the sender cancels, and its upload is answered',
    meet: async (here) => {
      const { upload, sender } = await uploading(here, chunk('hello'))
      await here.ask(here.port, `DELETE ${upload}`)
      return await answerOf(sender)
    },
  },
  {
    code: 'gone',
    when: 'a link was used',
    meet: async ({ open, connect, ask, port }) => {
      const sender = await open(port, { length: 0 })
      const receiver = await connect(port, sender)
      await answerOf(receiver)
      await sender.until(/"delivered"/)
      return await ask(port, `GET /${sender.id}`)
    },
  },
  asks('length-required', 'POST /', { Via: '1.1 proxy', 'Transfer-Encoding': 'chunked' }),
  {
    code: 'precondition-failed',
    when: 'a receiver goes on with another file',
    meet: async ({ open, ask, port }) => {
      const sender = await open(port, { length: 5 })
      return await ask(port, `GET /${sender.id}`, { Range: 'bytes=2-', 'If-Match': '"another"' })
    },
  },
  {
    code: 'range-not-satisfiable',
    when: 'a receiver that has every byte asks for more',
    options: { resumeWithin: 60 },
    meet: async ({ open, connect, ask, port }) => {
      const sender = await open(port, GOES_ON)
      const receiver = await connect(port, sender)
      await sender.write('hello')
      await receiver.until(/hello$/)
      receiver.reset()
      await sender.until(/"event":"interrupted"/)
      return await ask(port, `GET /${sender.id}`, { Range: 'bytes=5-' })
    },
  },
  asks('too-large', 'POST /', { 'Content-Length': '6' }, { maxUploadBytes: 5 }),
  {
    code: 'too-large',
    when: 'an upload by reservation goes over the limit',
    options: { maxUploadBytes: 5 },
    meet: async (here) => {
      const { sender } = await uploading(here, chunk('hello'))
      await sender.write(chunk('!'))
      return await answerOf(sender)
    },
  },
  asks('unsupported-media-type', 'POST /', { ...SENDS, 'Content-Encoding': 'gzip' }),
  {
    code: 'unsupported-media-type',
    when: 'a PATCH brings no piece',
    options: { resumeWithin: 60 },
    meet: async ({ reserve, ask, port }) =>
      ask(port, `PATCH ${(await reserve(port)).upload}`, { ...PIECE, 'Content-Type': 'text/plain' }),
  },
  ...['Upload-Offset', 'Upload-Complete'].map(
    (field): Refusal => ({
      code: 'bad-request',
      when: `a piece has no ${field}`,
      options: { resumeWithin: 60 },
      meet: async ({ reserve, ask, port }) =>
        ask(port, `PATCH ${(await reserve(port)).upload}`, { ...PIECE, [field]: '' }),
    }),
  ),
  {
    code: 'length-unknown',
    when: 'a proxy hides cuts, and the receiver could not tell one',
    options: { proxyHidesCuts: true },
    meet: async ({ open, say, port }) => {
      const sender = await open(port)
      return await answerOf(await say(port, `GET /${sender.id}`))
    },
  },
  {
    code: 'whole-only',
    when: 'a part is asked for',
    meet: async ({ open, ask, port }) => {
      const sender = await open(port, { length: 5 })
      return await ask(port, `GET /${sender.id}`, { Range: 'bytes=5-' })
    },
  },
  {
    code: 'sender-lost',
    when: 'the sender of a waiting link left, and its receiver comes at that moment',
    meet: async ({ open, say, port }) => {
      const sender = await open(port, { length: 5 })
      const receiver = await say(port, `GET /${sender.id}`)
      await sender.until(/"connected"/)
      sender.reset()
      return await answerOf(receiver)
    },
  },
  {
    code: 'receiver-lost',
    when: 'the receiver leaves, and the upload is answered',
    meet: async (here) => {
      const { sender, receiver } = await uploading(here, chunk('hello'))
      receiver.reset()
      return await answerOf(sender)
    },
  },
  {
    code: 'too-many-sockets',
    when: 'all sockets are taken',
    options: { maxSockets: 1 },
    meet: async ({ open, ask, port }) => {
      await open(port)
      return await ask(port, 'POST /', SENDS)
    },
  },
  ...['POST /', 'PUT /name', 'POST /reserve'].map(
    (target): Refusal => ({
      code: 'over-share',
      when: `${target} comes from a client that has its sockets`,
      options: { maxSocketsPerClient: 1 },
      meet: async ({ open, ask, port }) => {
        await open(port)
        return await ask(port, target, SENDS)
      },
    }),
  ),
  {
    code: 'over-share',
    when: 'a client reserves more than it uses',
    options: { maxReservationsPerClient: 1 },
    meet: async ({ reserve, ask, port }) => {
      await reserve(port)
      return await ask(port, 'POST /reserve')
    },
  },
  ...[`GET /${UNKNOWN}?wait=60`, 'GET /ID', 'GET UPLOAD/events'].map(
    (target): Refusal => ({
      code: 'over-share',
      when: `${target} comes from a client that waits already`,
      options: { maxWaitingPerClient: 1 },
      meet: async ({ reserve, say, ask, port }) => {
        const { id, upload } = await reserve(port)
        const follower = await say(port, `GET ${upload}/events`)
        await follower.until(/# reserved/)
        return await ask(port, target.replace('ID', id).replace('UPLOAD', upload))
      },
    }),
  ),
  ...[
    `GET /${UNKNOWN}`,
    'GET /ID',
    'POST /ID/name',
    'PUT /uploads/none',
    'PUT UPLOAD',
    'DELETE UPLOAD',
    'GET UPLOAD/events',
  ].map(
    (target): Refusal => ({
      code: 'too-many-requests',
      when: `${target} comes from a client that has guessed too often`,
      options: { maxMissesPerClient: 1 },
      meet: async ({ reserve, ask, port }) => {
        const { id, upload } = await reserve(port)
        expect((await ask(port, `GET /${UNKNOWN}`)).status).toBe(404)
        return await ask(port, target.replace('ID', id).replace('UPLOAD', upload))
      },
    }),
  ),
  ...['POST /', 'PUT /name', 'POST /reserve'].map(
    (target): Refusal => ({
      code: 'shutting-down',
      when: `${target} comes while the last transfer ends`,
      meet: async (here) => {
        const { started, port, ask } = here
        const { sender, receiver } = await uploading(here, chunk('hello'))
        const closed = started.close()
        await until('it takes no more', async () => (await ask(port, 'GET /health')).status === 503)
        const answer = await ask(port, target, SENDS)
        await sender.write(LAST_CHUNK)
        await answerOf(receiver)
        expect((await answerOf(sender)).status).toBe(200)
        await closed
        return answer
      },
    }),
  ),
  {
    code: 'shutting-down',
    when: 'it stops while an upload waits for its receiver',
    meet: async ({ started, port, reserve, say, ask }) => {
      const { id, upload } = await reserve(port)
      const sender = await say(port, `PUT ${upload}`, SENDS)
      await until('it waits', async () => (await ask(port, `HEAD /${id}`)).headers['content-length'] === '1')
      const closed = started.close()
      const answer = await answerOf(sender)
      await closed
      return answer
    },
  },
  {
    code: 'expired',
    when: 'no receiver comes for an upload by reservation',
    // The upload has to come in this time, on a busy machine too.
    options: { ttl: 1 },
    meet: async ({ port, reserve, ask }) => ask(port, `PUT ${(await reserve(port)).upload}`, SENDS),
  },
  {
    code: 'stalled',
    when: 'nothing moves in an upload by reservation',
    options: { stallTimeout: 0.3 },
    meet: async (here) => await answerOf((await uploading(here, chunk('hello'))).sender),
  },
  {
    code: 'http-version-not-supported',
    when: 'an HTTP/1.0 receiver asks for what has no length',
    meet: async ({ open, sayOld, port }) => {
      const { id } = await open(port)
      return await answerOf(await sayOld(port, `GET /${id}`))
    },
  },
  {
    code: 'http-version-not-supported',
    when: 'an HTTP/1.0 sender comes without a reservation',
    meet: async ({ sayOld, port }) => answerOf(await sayOld(port, 'POST /', { 'Content-Length': '0' })),
  },
  // Node's parser takes the second one for HTTP/0.9, and the last one as HTTP/2 without TLS.
  ...['HTTP/0.9', '', 'HTTP/2.0'].flatMap((version) =>
    ['POST /', 'PUT /a.txt', `GET /${UNKNOWN}`, 'POST /reserve'].map(
      (line): Refusal => ({
        code: 'http-version-not-supported',
        when: `${line} comes ${version === '' ? 'without a version' : `by ${version}`}`,
        meet: async ({ sayOld, port }) =>
          answerOf(await sayOld(port, line, { 'Content-Length': '0' }, version)),
      }),
    ),
  ),
]

/**
 * What is said before there is a request, by a bug, of a host, or of other nodes; `test/server` and
 * `test/e2e/malformed` have their tests.
 */
const NOT_OF_A_ROUTE = [
  'node-away',
  'moved',
  'request-timeout',
  'expectation-failed',
  'headers-too-large',
  'internal-error',
  'body-already-read',
]

test('every problem that a server answers with is met here', () => {
  const answers = Object.entries(PROBLEMS).flatMap(([code, { status }]) => (status === null ? [] : [code]))
  const met = new Set(REFUSALS.map(({ code }) => code))
  expect([...met, ...NOT_OF_A_ROUTE].sort()).toEqual(answers.sort())
})

/** There is nothing of the kind in HTTP/2. */
const OF_HTTP1 = /HTTP\/[0-9.]+|without a version|"Transfer-Encoding":"gzip|"Via"/

/**
 * To start a server takes longer than to ask it. So those who only ask, and want the same of it, share one; all the
 * others have their own.
 */
function serversFor(refusals: readonly Refusal[]) {
  const shared = new Map<string, { title: string; options: ContractOptions; refusals: Refusal[] }>()
  for (const refusal of refusals) {
    const { code, when, options = {}, isAlone } = refusal
    const key = isAlone ? JSON.stringify(options) : `${code} ${when}`
    const title = isAlone
      ? `each request is refused for its own reason, with the options ${key}`
      : `${code} is said when ${when}`
    const server = shared.get(key) ?? { title, options, refusals: [] }
    server.refusals.push(refusal)
    shared.set(key, server)
  }
  return [...shared.values()]
}

describe.each(HOSTS)('$name', ({ path, scheme, isHttp2, start }) => {
  const peers = peersOf(path)
  const refusals = REFUSALS.filter(({ when }) => !isHttp2 || !OF_HTTP1.test(when))

  async function expectRefused(started: Started, { code, when, meet }: Refusal): Promise<void> {
    const { status, headers, body } = await meet({ ...peers, started, port: started.port })
    expect.soft({ status, body }, `${code} is said when ${when}`).toEqual({
      status: PROBLEMS[code].status,
      body: expect.stringMatching(new RegExp(` \\[${code}\\]\n$`, 's')),
    })
    expect.soft(headers['access-control-allow-origin'], when).toBe('*')
    expect.soft(headers['retry-after'] !== undefined, when).toBe(status === 429 || status === 503)
  }

  test.each(serversFor(refusals))('$title', async ({ options, refusals }) => {
    const started = await start(options, 60)
    for (const refusal of refusals) await expectRefused(started, refusal)
  })

  test('a refusal is an object of RFC 9457 for programs, and a page for browsers', async () => {
    const { port } = await start()
    const object = await peers.ask(port, `GET /${UNKNOWN}`, { Accept: 'application/problem+json' })
    expect(object.headers['content-type']).toBe('application/problem+json')
    expect(JSON.parse(object.body)).toMatchObject({ type: 'urn:ess:problem:not-found', status: 404 })
    const page = await peers.ask(port, `GET /${UNKNOWN}`, BROWSER)
    expect(page).toMatchObject({ status: 404, headers: { 'content-type': 'text/html; charset=utf-8' } })
  })

  test('a page at or under the required one may reserve', async () => {
    const { port } = await start({ requiredReferer: PAGE })
    for (const Referer of [PAGE, `${PAGE}/`, `${PAGE}/send?a=b`])
      expect((await peers.ask(port, 'POST /reserve', { Referer })).status).toBe(201)
  })

  test('a server without early responses says what to do instead, and that works', async () => {
    const { port } = await start({ earlyResponse: false })
    const told = await peers.ask(port, 'POST /', SENDS)
    expect(told.body).toContain(`curl -X POST ${scheme}://localhost${path}/reserve`)
    expect((await peers.ask(port, 'GET /')).body).toContain(
      `curl -X POST ${scheme}://localhost${path}/reserve`,
    )
    const { id, upload } = await peers.reserve(port)
    const receiver = await peers.say(port, `GET /${id}`)
    const sender = await peers.say(port, `PUT ${upload}`, { 'Content-Length': '5' })
    await sender.write('hello')
    expect(await answerOf(receiver)).toMatchObject({ status: 200, body: 'hello' })
    expect((await answerOf(sender)).status).toBe(200)
  })
})
