import { createServer, type RequestListener, type Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server as NetServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { expect, onTestFinished, test } from 'vitest'
import { brokerOf } from '../../../server/embed.js'
import { createService, type EmbeddedService } from '../../../server/index.js'
import { RELAY_MODES } from '../../../server/relay/relay.js'
import { certificate } from '../../helpers/certificate.js'
import { parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, type RawPeer, speakTls } from '../../helpers/raw-peer.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'
import { chunk, eventsOf, LAST_CHUNK, senderHead } from '../serve.js'

/** Short for a host, and shorter than everything here takes. */
const TIMEOUTS = { requestTimeout: 1000, connectionsCheckingInterval: 100 }

/** A path of the host's own, where it waits for a body before it answers. */
const OWN = '/own'

const SERVICES = RELAY_MODES.map((relay) => ({ relay, path: `/${relay}` }))

interface Pair {
  readonly key: Buffer
  readonly cert: Buffer
}

/** What serves, and where peers come in. */
interface Served {
  readonly server: Server
  readonly entrance: NetServer
}

type Make = (services: readonly EmbeddedService[], pair: Pair) => Served

function alone(server: Server): Served {
  return { server, entrance: server }
}

function nodeListener(services: readonly EmbeddedService[]): RequestListener {
  return (request, response) => {
    const { url = '/' } = request
    const at = SERVICES.findIndex(({ path }) => url.startsWith(`${path}/`))
    if (at < 0) {
      request.on('end', () => response.end('the host has it')).resume()
      return
    }
    Object.assign(request, { originalUrl: url, url: url.slice(SERVICES[at]?.path.length) })
    services[at]?.handler(request, response)
  }
}

function expressListener(services: readonly EmbeddedService[]): RequestListener {
  const app = express()
  for (const [at, service] of services.entries()) app.use(SERVICES[at]?.path ?? '', service.handler)
  app.use(express.text(), (_request, response) => void response.send('the host has it'))
  return app
}

function honoApp(services: readonly EmbeddedService[]): Hono {
  const app = new Hono()
  for (const [at, service] of services.entries()) app.route(SERVICES[at]?.path ?? '', service.app)
  app.post(OWN, async (context) => {
    // Cut off, as it is meant to be.
    await context.req.text().catch(() => '')
    return context.text('the host has it')
  })
  return app
}

const HOSTS: Readonly<Record<string, Make>> = {
  'node:http': (services) => alone(createServer(TIMEOUTS, nodeListener(services))),
  'node:https': (services, pair) =>
    alone(createHttpsServer({ ...TIMEOUTS, ...pair }, nodeListener(services))),
  // By its type it is a server of HTTP/2 alone.
  'node:http2, for HTTP/1.1': (services, pair) => {
    const options = { ...TIMEOUTS, ...pair, allowHTTP1: true }
    const listener: unknown = nodeListener(services)
    const server: unknown = createSecureServer(options, listener as () => void)
    Object.assign(server as object, { requestTimeout: TIMEOUTS.requestTimeout })
    return alone(server as Server)
  },
  Express: (services) => alone(createServer(TIMEOUTS, expressListener(services))),
  'Express over TLS': (services, pair) =>
    alone(createHttpsServer({ ...TIMEOUTS, ...pair }, expressListener(services))),
  Hono: (services) =>
    alone(createAdaptorServer({ fetch: honoApp(services).fetch, serverOptions: TIMEOUTS }) as Server),
  'Hono over TLS': (services, pair) =>
    alone(
      createAdaptorServer({
        fetch: honoApp(services).fetch,
        createServer: createHttpsServer,
        serverOptions: { ...TIMEOUTS, ...pair },
      }) as Server,
    ),
  // Both of its entrances could be open.
  'node:http behind a server of node:tls, by TLS': (services, pair) => {
    const server = createServer(TIMEOUTS, nodeListener(services)).listen(0, '127.0.0.1')
    return {
      server,
      entrance: createTlsServer(pair, (connection) => void server.emit('connection', connection)),
    }
  },
}

function isTls(name: string): boolean {
  return /TLS|https|http2/.test(name)
}

/** Starts a host with a service for each gear; it ends when the test is over. */
async function startHost(name: string, pair: Pair, prepare: (server: Server) => void = () => {}) {
  const services = SERVICES.map(({ relay }) => createService({ relay, reservations: true }))
  await Promise.all(services.map((service) => service.relay.ready()))
  const make = HOSTS[name]
  if (make === undefined) throw new Error(`Expected a host, got ${name}`)
  const { server, entrance } = make(services, pair)
  prepare(server)
  await new Promise<void>((resolve) => entrance.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has this kind of address.
  const { port } = entrance.address() as AddressInfo
  if (isTls(name)) speakTls(port)
  onTestFinished(async () => {
    for (const service of services) service.stopNow()
    await Promise.all(services.map((service) => brokerOf(service).relay.close()))
    for (const each of new Set([entrance, server])) each.close()
    // Servers of HTTP/2 have it from Node 24 on.
    server.closeAllConnections?.()
  })
  return { services, server, port }
}

/** Waits until this host's timeouts have ended a request of its own: all that came before it are late as well. */
async function untilOwnIsLate(port: number): Promise<void> {
  const own = await connectRaw(port)
  await own.write(requestHead(`POST ${OWN}`, { 'Content-Length': '5', 'Content-Type': 'text/plain' }))
  await own.ending()
  expect(own.text()).toMatch(/^(?:HTTP\/1\.1 408 |$)/)
}

async function openSender(port: number, path: string, length?: number): Promise<RawPeer & { id: string }> {
  const peer = await connectRaw(port)
  const headers = { Connection: 'keep-alive' }
  await peer.write(senderHead({ target: `POST ${path}/`, headers, ...(length !== undefined && { length }) }))
  const [, id = ''] = await peer.until(/"id":"([^"]+)"/)
  return { ...peer, id }
}

async function say(port: number, target: string, headers: Record<string, string> = {}): Promise<RawPeer> {
  const peer = await connectRaw(port)
  await peer.write(requestHead(target, headers))
  return peer
}

/** A transfer of ten bytes that takes longer than its host's timeouts twice: before its receiver comes, and midway. */
async function transferInspiteOf(port: number, path: string, passTime: () => Promise<void>): Promise<void> {
  const known = await openSender(port, path, 10)
  const chunked = await openSender(port, path)
  // Receivers whose requests have bodies, as forms have, that come at the very end.
  const unfinished = { 'Content-Length': '5' }
  const reserved = await say(port, `POST ${path}/reserve`, { Accept: 'application/json' })
  const [, id = '', upload = ''] = await reserved.until(
    /"id":"([^"]+)".*"upload":"http[^"]*(\/uploads\/[^"]+)"/,
  )
  const early = await say(port, `POST ${path}/${id}`, unfinished)
  const follower = await say(port, `GET ${path}${upload}/events`, {
    Accept: 'application/x-ndjson',
    ...unfinished,
  })
  await follower.until(/"reserved"/)
  await passTime()
  const late = await say(port, `PUT ${path}${upload}`, { 'Content-Length': '10' })
  const pairs = [
    {
      sender: known,
      receiver: await say(port, `POST ${path}/${known.id}`, unfinished),
      hello: 'hello',
      world: 'world',
      rest: '12345',
    },
    {
      sender: chunked,
      receiver: await say(port, `GET ${path}/${chunked.id}`),
      hello: chunk('hello'),
      world: chunk('world') + LAST_CHUNK,
      rest: '',
    },
    { sender: late, receiver: early, hello: 'hello', world: 'world', rest: '12345' },
  ]
  await Promise.all(
    pairs.map(async ({ sender, receiver, hello }) => {
      await sender.write(hello)
      await receiver.until(/hello/)
    }),
  )
  await passTime()
  await Promise.all(
    pairs.map(async ({ sender, receiver, world, rest }) => {
      await receiver.write(rest)
      await sender.write(world)
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      expect(parseAnswer(receiver.text())).toMatchObject({ status: 200, body: 'helloworld' })
      await sender.until(/delivered/)
    }),
  )
  for (const { sender } of pairs.slice(0, 2))
    expect(eventsOf(sender).at(-1)).toEqual({ event: 'delivered', bytes: 10, confirmed: true })
  expect(parseAnswer(late.text())).toMatchObject({ status: 200, body: '# delivered: 10 bytes\n' })
  await follower.until(/"delivered","bytes":10,"confirmed":true/)
}

test('a transfer outlasts the requestTimeout of each host, by each gear, and no other request does', async () => {
  const pair = await certificate()
  // Before Node 24, this kind of server times no request.
  const isTimed = (name: string) =>
    !name.includes('http2') || Number.parseInt(process.versions.node, 10) >= 24
  await Promise.all(
    Object.keys(HOSTS)
      .filter(isTimed)
      .map(async (name) => {
        const { services, port } = await startHost(name, pair)
        const gears: unknown[] = []
        for (const service of services) service.on('socket:end', (_socket, { gear }) => gears.push(gear))
        await Promise.all(
          SERVICES.map(({ path }) => transferInspiteOf(port, path, () => untilOwnIsLate(port))),
        ).catch((error: unknown) => {
          throw new Error(`in ${name}`, { cause: error })
        })
        // Each is the best that it may be; over TLS there is but one.
        const expected = isTls(name) ? ['streams'] : services.map((service) => brokerOf(service).relay.gear)
        expect(new Set(gears), name).toEqual(new Set(expected))
      }),
  )
})

test("a host's own timeout for silent connections is lifted from a transfer, and is there again after it", async () => {
  const timeoutMs = 300
  const prepare = (server: Server) => {
    server.setTimeout(timeoutMs)
    server.keepAliveTimeout = 0
  }
  const { port } = await startHost('node:http', await certificate(), prepare)
  const untilSilentIsEnded = async () => {
    const silent = await connectRaw(port)
    await silent.ending()
  }
  await Promise.all(SERVICES.map(({ path }) => transferInspiteOf(port, path, untilSilentIsEnded)))
  // A short body leaves its connection for another request.
  const sender = await openSender(port, '/auto', 5)
  await untilSilentIsEnded()
  const receiver = await say(port, `GET /auto/${sender.id}`)
  await sender.write('hello')
  await receiver.ending()
  receiver.end()
  await sender.until(/"delivered"/)
  await sender.write(requestHead('GET /auto/health', { Connection: 'keep-alive' }))
  await sender.until(/"ok"/)
  await sender.ending()
})

test.each(SERVICES)(
  'a host that closes its server leaves a receiver by $relay to confirm',
  async ({ path }) => {
    const { server, port } = await startHost('node:http', await certificate())
    const sender = await openSender(port, path, 5)
    const receiver = await say(port, `GET ${path}/${sender.id}`)
    await sender.write('hello')
    await receiver.until(/hello$/)
    expect(await receiver.ending()).toBe('fin')
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeIdleConnections()
    receiver.end()
    await sender.until(/"delivered"/)
    expect(eventsOf(sender).at(-1)).toEqual({ event: 'delivered', bytes: 5, confirmed: true })
    sender.end()
    await within(DEADLINE_MS, 'the server closes', closed)
  },
)
