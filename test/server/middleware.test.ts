import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, connect } from 'node:net'
import { brotliDecompressSync } from 'node:zlib'
import { createAdaptorServer } from '@hono/node-server'
import express, { type RequestHandler } from 'express'
import { Hono, type MiddlewareHandler } from 'hono'
import { basicAuth } from 'hono/basic-auth'
import { bearerAuth } from 'hono/bearer-auth'
import { bodyLimit } from 'hono/body-limit'
import { compress } from 'hono/compress'
import { contextStorage } from 'hono/context-storage'
import { setCookie } from 'hono/cookie'
import { cors } from 'hono/cors'
import { csrf } from 'hono/csrf'
import { etag } from 'hono/etag'
import { HTTPException } from 'hono/http-exception'
import { ipRestriction } from 'hono/ip-restriction'
import { jwt } from 'hono/jwt'
import { languageDetector } from 'hono/language'
import { logger } from 'hono/logger'
import { methodOverride } from 'hono/method-override'
import { poweredBy } from 'hono/powered-by'
import { prettyJSON } from 'hono/pretty-json'
import { requestId } from 'hono/request-id'
import { secureHeaders } from 'hono/secure-headers'
import { timeout } from 'hono/timeout'
import { timing } from 'hono/timing'
import { appendTrailingSlash, trimTrailingSlash } from 'hono/trailing-slash'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createService, type EmbeddedService } from '../../server/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { loadedBy, OWN_SCRIPTS, policyOf } from '../helpers/pages.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { until } from '../helpers/within.js'
import { chunk, eventsOf, LAST_CHUNK, senderHead } from './serve.js'

const MOUNT = '/share'

/** A page of the host's own that never answers. */
const SILENT = '/silent'

/** What every client here says, so that no middleware has a reason to stay out of it. */
const HEADERS = {
  'Accept-Encoding': 'gzip, br',
  Authorization: `Basic ${btoa('user:password')}`,
  Cookie: 'a=b',
  Origin: 'http://localhost',
  'Content-Type': 'application/octet-stream',
}

/** How long a host waits for an answer here that has a timeout for it. */
const TIMEOUT_MS = 50

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  // A server that listens on TCP has this kind of address.
  return (server.address() as AddressInfo).port
}

function newService(): EmbeddedService {
  const service = createService({ reservations: true, web: true })
  onTestFinished(() => service.stopNow())
  return service
}

function startHono(
  prepare: (app: Hono) => void,
  {
    autoCleanupIncoming = false,
    mount = (app: Hono, service: EmbeddedService): unknown => app.route(MOUNT, service.app),
  } = {},
): Promise<number> {
  const app = new Hono()
  prepare(app)
  mount(app, newService())
  app.get(SILENT, () => new Promise<never>(() => {}))
  return listening(createAdaptorServer({ fetch: app.fetch, autoCleanupIncoming }) as Server)
}

function startExpress(mount: (app: express.Express, handler: RequestListener) => void): Promise<number> {
  const app = express()
  mount(app, newService().handler)
  app.get(SILENT, () => {})
  // By four parameters Express knows it; its own would write to the console.
  app.use((_error: unknown, _request: unknown, response: express.Response, _next: unknown) => {
    if (!response.headersSent) response.status(503).end('the host has failed')
  })
  return listening(createServer(app))
}

/** Early and final responses, receivers that wait, and what is answered by other ways: all as it is without middleware. */
async function expectTransfers(
  port: number,
  { Authorization = HEADERS.Authorization, isTimed = false } = {},
): Promise<void> {
  const headers = { ...HEADERS, Authorization }
  // What isn't streamed may be compressed.
  const ask = (target: string) =>
    exchange(port, requestHead(target, { ...headers, 'Accept-Encoding': 'identity' }))
  const say = async (target: string, more = {}) => {
    const peer = await connectRaw(port)
    await peer.write(requestHead(target, { ...headers, ...more }))
    return peer
  }
  const early = await connectRaw(port)
  await early.write(senderHead({ target: `POST ${MOUNT}/`, headers }))
  const [, id = ''] = await early.until(/"id":"([^"]+)"/)
  const receiver = await say(`GET ${MOUNT}/${id}`)
  await early.until(/"connected"/)
  const { body: reservation } = await ask(`POST ${MOUNT}/reserve`)
  const [url = '', upload = ''] = reservation
    .split('\n')
    .map((line) => line.replace(/^http:\/\/localhost/, ''))
  expect(url).toMatch(new RegExp(`^${MOUNT}/[^/]+$`))
  const waiting = await say(`GET ${url}`)
  const follower = await say(`GET ${upload}/events`, { Accept: 'application/x-ndjson' })
  await follower.until(/"reserved"/)
  // The host's patience comes to its end, with those who wait for a sender, and with one who waits for the verdict.
  const untilImpatient = async () => expect((await ask(`GET ${SILENT}`)).status).toBeGreaterThanOrEqual(503)
  if (isTimed) await untilImpatient()
  const final = await say(`PUT ${upload}`, { 'Content-Length': '5' })
  await follower.until(/"connected"/)
  if (isTimed) await untilImpatient()
  await early.write(chunk('hello') + LAST_CHUNK)
  await final.write('hello')
  for (const peer of [receiver, waiting]) {
    expect(await peer.ending()).toBe('fin')
    peer.end()
    expect(parseAnswer(peer.text())).toMatchObject({ status: 200, body: 'hello' })
  }
  await early.until(/"delivered"/)
  expect(eventsOf(early).at(-1)).toEqual({ event: 'delivered', bytes: 5, confirmed: true })
  await final.ending()
  expect(parseAnswer(final.text())).toMatchObject({ status: 200, body: '# delivered: 5 bytes\n' })
  await follower.until(/"delivered".*0\r\n\r\n$/s)
  expect(await ask(`GET ${url}`)).toMatchObject({ status: 410, body: expect.stringMatching(/ \[gone\]\n$/) })
  expect(await ask(`HEAD ${url}`)).toMatchObject({ status: 410, body: '' })
  expect(await ask(`POST ${MOUNT}/?ttl=0`)).toMatchObject({ status: 400 })
}

const refuseAfterwards: MiddlewareHandler = async (_context, next) => {
  await next()
  throw new HTTPException(500, { message: 'the host has failed' })
}

/** Each as its own documentation has it. */
const HONO: Readonly<Record<string, MiddlewareHandler>> = {
  'basic-auth': basicAuth({ username: 'user', password: 'password' }),
  'bearer-auth': bearerAuth({ token: 'token' }),
  compress: compress(),
  'context-storage': contextStorage(),
  cors: cors(),
  'cors for one origin': cors({ origin: 'http://localhost', credentials: true }),
  csrf: csrf(),
  etag: etag(),
  'ip-restriction': ipRestriction(() => ({ remote: { address: '127.0.0.1', addressType: 'IPv4' } }), {}),
  jwt: async (context, next) =>
    context.req.path.startsWith(MOUNT)
      ? await next()
      : await jwt({ secret: 's', alg: 'HS256' })(context, next),
  language: languageDetector({ fallbackLanguage: 'en' }),
  logger: logger(() => {}),
  'powered-by': poweredBy(),
  'pretty-json': prettyJSON({ force: true }),
  'request-id': requestId(),
  'secure-headers': secureHeaders(),
  timeout: timeout(TIMEOUT_MS),
  timing: timing(),
  'append-trailing-slash': appendTrailingSlash(),
  'trim-trailing-slash': trimTrailingSlash(),
  'a header before': async (context, next) => {
    context.header('X-Host', 'before')
    await next()
  },
  'a header after': async (context, next) => {
    await next()
    context.header('X-Host', 'after')
  },
  'a cookie after': async (context, next) => {
    await next()
    setCookie(context, 'seen', 'yes')
  },
  'a response after': async (context, next) => {
    await next()
    if (context.res.headers.has('x-hono-already-sent'))
      context.res = new Response('the host has the last word')
  },
  'an error after': async (context, next) =>
    context.req.path.endsWith('/reserve') ? await next() : await refuseAfterwards(context, next),
  'a look at something else first': async (_context, next) => {
    await new Promise((resolve) => setImmediate(resolve))
    await next()
  },
}

describe('in Hono', () => {
  test.each(Object.entries(HONO))('%s changes nothing about transfers', async (name, middleware) => {
    const port = await startHono((app) => app.use(middleware))
    await expectTransfers(port, {
      ...(name === 'bearer-auth' && { Authorization: 'Bearer token' }),
      isTimed: name === 'timeout',
    })
  })

  test('all of it at once, in an app in an app', async () => {
    const inner = new Hono()
    inner.use(
      ...Object.entries(HONO).flatMap(([name, each]) => (/auth|an error|timeout/.test(name) ? [] : [each])),
    )
    inner.route('/', newService().app)
    const app = new Hono().route(MOUNT, inner)
    await expectTransfers(await listening(createAdaptorServer({ fetch: app.fetch }) as Server))
  })

  test.each<[string, (app: Hono) => void, Record<string, string>]>([
    ['body-limit', (app) => app.use(bodyLimit({ maxSize: 100 })), {}],
    [
      'method-override',
      (app) => app.use(methodOverride({ app })),
      { 'Content-Type': 'application/x-www-form-urlencoded' },
    ],
    [
      'a middleware that copies requests',
      (app) =>
        app.use(async (context, next) => {
          context.req.raw = new Request(context.req.raw)
          await next()
        }),
      {},
    ],
    [
      'a middleware that has read it',
      (app) =>
        app.use(async (context, next) => {
          await context.req.text()
          await next()
        }),
      {},
    ],
  ])('an upload that %s reads is refused at once', async (_name, prepare, headers) => {
    for (const autoCleanupIncoming of [false, true])
      await expectRefused(await startHono(prepare, { autoCleanupIncoming }), headers)
  })

  test('an upload by mount(), which makes a request of its own, is refused at once', async () => {
    const mount = (app: Hono, service: EmbeddedService) => app.mount(MOUNT, service.app.fetch)
    for (const autoCleanupIncoming of [false, true])
      await expectRefused(await startHono(() => {}, { autoCleanupIncoming, mount }), {})
  })
})

async function expectRefused(port: number, headers: Record<string, string>): Promise<void> {
  const upload = { 'Content-Type': 'text/plain', ...headers, 'Content-Length': '7' }
  const { body } = await exchange(port, requestHead(`POST ${MOUNT}/reserve`))
  const [, place = ''] = body.split('\n')
  for (const target of [`POST ${MOUNT}/`, `PUT ${MOUNT}/a.txt`, `PUT ${new URL(place).pathname}`])
    expect(await exchange(port, `${requestHead(target, upload)}{"a":1}`)).toMatchObject({
      status: 500,
      body: expect.stringMatching(
        /mount the service before body parsers and body limits\. \[body-already-read\]\n$/,
      ),
    })
}

/** Those that come without types of their own. */
const require = createRequire(import.meta.url)
const load = (name: string) => require(name) as (...options: unknown[]) => RequestHandler

const EXPRESS: Readonly<Record<string, RequestHandler>> = {
  compression: load('compression')({ threshold: 0 }),
  'connect-timeout': load('connect-timeout')(`${TIMEOUT_MS}ms`),
  'cookie-parser': load('cookie-parser')(),
  cors: load('cors')(),
  'express-session': load('express-session')({
    secret: 's',
    resave: true,
    saveUninitialized: true,
    rolling: true,
  }),
  helmet: load('helmet')(),
  'method-override': load('method-override')(),
  morgan: load('morgan')('combined', { stream: { write: () => {} } }),
  'response-time': load('response-time')(),
  json: express.json(),
  urlencoded: express.urlencoded({ extended: true }),
  text: express.text(),
  static: express.static('docs'),
  'a header': (_request, response, next) => {
    response.setHeader('X-Host', 'before')
    next()
  },
  'a timeout of its own': (_request, response, next) => {
    response.setTimeout(TIMEOUT_MS, () => response.status(503).end())
    next()
  },
  'a look at something else first': (_request, _response, next) => void setImmediate(next),
  'a pause for that': (request, _response, next) => {
    request.pause()
    setImmediate(next)
  },
}

describe('in Express', () => {
  test.each(Object.entries(EXPRESS))('%s changes nothing about transfers', async (name, middleware) => {
    const options = { isTimed: /timeout/.test(name) }
    const before = await startExpress((app, handler) => app.use(middleware).use(MOUNT, handler))
    const around = await startExpress((app, handler) => {
      const router = express.Router().use(middleware, handler)
      app.get(SILENT, middleware)
      app.use(MOUNT, router)
    })
    await Promise.all([expectTransfers(before, options), expectTransfers(around, options)])
  })

  test('the pages keep their policy, and their parts their coding', async () => {
    const before = [EXPRESS['helmet'], EXPRESS['compression']].flatMap((each) => each ?? [])
    const port = await startExpress((app, handler) => app.use(...before).use(MOUNT, handler))
    const ask = (target: string) => exchange(port, requestHead(target, { ...HEADERS, ...BROWSER }))
    const { headers, body } = await ask(`GET ${MOUNT}/`)
    expect(policyOf(headers['content-security-policy'])).toMatchObject({
      'default-src': "'none'",
      'script-src': expect.stringMatching(OWN_SCRIPTS),
    })
    // Compressed by the host, so it is read as it came.
    expect(headers['content-encoding']).toBe('br')
    const page = brotliDecompressSync(Buffer.from(body, 'latin1')).toString()
    for (const part of loadedBy(page)) {
      const { pathname } = new URL(part, `http://localhost${MOUNT}/`)
      const found = await ask(`GET ${pathname}`)
      expect(found.headers['content-encoding']).toBe('br')
      expect(brotliDecompressSync(Buffer.from(found.body, 'latin1')).length).toBeGreaterThan(0)
    }
  })

  test('all of it at once', async () => {
    // Those with timeouts may give up on the others.
    const all = Object.entries(EXPRESS).flatMap(([name, each]) => (name.includes('timeout') ? [] : [each]))
    await expectTransfers(await startExpress((app, handler) => app.use(...all).use(MOUNT, handler)))
  })

  test.each<[string, RequestHandler, string]>([
    ['json', express.json(), 'application/json'],
    ['urlencoded', express.urlencoded({ extended: true }), 'application/x-www-form-urlencoded'],
    ['text', express.text(), 'text/plain'],
    ['raw', express.raw({ type: '*/*' }), 'application/octet-stream'],
    [
      'a middleware that has begun to',
      (request, _response, next) => {
        request.on('data', () => {})
        next()
      },
      'text/plain',
    ],
    [
      'a middleware that throws it away',
      (request, _response, next) => {
        request.resume()
        next()
      },
      'text/plain',
    ],
  ])('an upload that %s reads is refused at once', async (_name, middleware, type) => {
    const port = await startExpress((app, handler) => app.use(middleware).use(MOUNT, handler))
    await expectRefused(port, { 'Content-Type': type })
  })
})

test("a host that answers in the service's place fails that transfer alone", async () => {
  const held: ServerResponse[] = []
  const hold = (request: IncomingMessage, response: ServerResponse) => {
    if (request.headers['x-held'] !== undefined) held.push(response)
  }
  const answer = () => {
    for (const response of held.splice(0)) response.writeHead(503).end('the host has it')
  }
  const port = await startExpress((app, handler) => {
    app.use((request, response, next) => {
      hold(request, response)
      next()
    })
    app.use(MOUNT, handler)
  })
  const open = async () => {
    const peer = await connectRaw(port)
    await peer.write(senderHead({ target: `POST ${MOUNT}/` }))
    const [, id = ''] = await peer.until(/"id":"([^"]+)"/)
    return { ...peer, id }
  }
  const say = async (target: string) => {
    const peer = await connectRaw(port)
    await peer.write(requestHead(target, { 'X-Held': 'yes', Connection: 'keep-alive' }))
    return peer
  }
  // A receiver whose head is held back for the first byte, and one that waits for its sender.
  const sender = await open()
  const receiver = await say(`GET ${MOUNT}/${sender.id}`)
  await sender.until(/"connected"/)
  await until('the host holds it', () => held.length === 1)
  answer()
  await receiver.until(/the host has it/)
  await sender.write(chunk('hello'))
  await sender.until(/"receiver-lost"|urn:ess:problem:receiver-lost/)
  const { body } = await exchange(port, requestHead(`POST ${MOUNT}/reserve`))
  const [url = '', upload = ''] = body.split('\n').map((line) => line.replace(/^http:\/\/localhost/, ''))
  const early = await say(`GET ${url}`)
  const absent = await say(`GET ${MOUNT}/abcdefghijkl?wait=0.1`)
  await until('the host holds both', () => held.length === 2)
  answer()
  await Promise.all([early, absent].map((peer) => peer.until(/the host has it/)))
  // Neither has used the link up: it is there for another one, and so is the host.
  const final = await connectRaw(port)
  await final.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '5' })}hello`)
  expect(await exchange(port, requestHead(`GET ${url}`))).toMatchObject({ status: 200, body: 'hello' })
  await final.ending()
  expect(parseAnswer(final.text())).toMatchObject({ status: 200 })
})

test('a request is served that comes while the answer ahead of it is written, and not all of it is out', async () => {
  const service = newService()
  let requests = 0
  const port = await listening(
    createServer((request, response) => {
      requests++
      if (request.url !== '/host') service.handler(request, response)
      // More than the kernels hold. Over TLS even a short answer may not be out for Node when its client has read it.
      else response.end(Buffer.alloc(16_000_000))
    }),
  )
  const peer = connect(port, '127.0.0.1').pause()
  onTestFinished(() => void peer.destroy())
  let end = ''
  peer.on('data', (bytes: Buffer) => {
    end = `${end}${bytes.toString('latin1').slice(-4000)}`.slice(-4000)
  })
  const headers = { Connection: 'keep-alive' }
  peer.write(requestHead('GET /host', headers))
  await until('the answer is written', () => requests === 1)
  peer.write(senderHead({ length: 0, headers }))
  await until('the next request is there', () => requests === 2)
  peer.resume()
  await until('it is answered', () => /HTTP\/1\.1 [\s\S]*\n$/.test(end))
  expect(end).toMatch(/HTTP\/1\.1 201 [\s\S]*"event":"opened"/)
})
