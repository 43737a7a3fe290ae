import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { expect, onTestFinished } from 'vitest'
import type { Service as Broker } from '../../server/broker/service.js'
import { brokerOf } from '../../server/embed.js'
import {
  createService,
  type Listening,
  listen,
  type Service,
  type ServiceOptions,
  type SocketInfo,
  type SocketStats,
  type TlsOptions,
} from '../../server/index.js'
import type { Locator, Place } from '../../server/locator/locator.js'
import { MemoryStore } from '../../server/locator/memory.js'
import { openRedisLocator } from '../../server/locator/redis.js'
import { taggedIds } from '../../server/locator/tagged-ids.js'
import { type Carrier, openNode } from '../../server/nodes/carrier.js'
import { logService } from '../../server/ops/log.js'
import { Outlet } from '../../server/ops/outlet.js'
import { StatusDecoder, type StatusEvent } from '../../shared/index.js'
import { startBalancer } from '../helpers/balancer.js'
import { parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { IS_BALANCED, IS_CLUSTER_TLS, NODES } from '../helpers/other-node.js'
import { connectRaw, type RawPeer, takeTurns } from '../helpers/raw-peer.js'
import { startRedis } from '../helpers/redis.js'
import { recordLog, recordSecrets } from '../helpers/suite-logs.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

/** A service in this process, on a free port. */
export interface Served {
  readonly service: Service
  /** What stands behind it: the verbs of the routes, and the relay. */
  readonly broker: Broker
  readonly server: Listening
  readonly port: number
  /** What the service said of its sockets so far, in order. */
  readonly opened: readonly SocketInfo[]
  readonly ends: readonly (SocketStats & { readonly id: string })[]
  /** The codes of the requests it refused so far. */
  readonly refused: readonly string[]
}

/** False where a service is several nodes: for tests of what one node alone counts, draws or remembers. */
export const IS_ALONE = NODES === 1

/**
 * False behind a balancer, which ends connections in its clients' name: when it has taken the last byte, nothing tells
 * whether its client has it.
 */
export const RESETS_PASS = !IS_BALANCED

/**
 * Starts a service; it is stopped, at once, when the test is over. It relays by the gear that the project of this
 * run is about, as an `ess-server` does that is started in it. With ESS_NODES=2, it is two nodes, and each raw peer meets
 * the other one; with more, it is so many nodes behind a balancer, with a Redis.
 */
export async function serve(options: ServiceOptions = {}): Promise<Served> {
  if (IS_BALANCED) return await serveBalanced(NODES, options)
  return IS_ALONE ? await serveAlone(options) : await serveAsNodes(NODES, options)
}

/** Several nodes that share a Redis, behind a balancer, as if they were one service. */
async function serveBalanced(count: number, options: ServiceOptions): Promise<Served> {
  const { url } = await startRedis()
  const secret = randomBytes(32).toString('hex')
  const locators: Locator[] = []
  const locate = (place: Place) => {
    const locator = openRedisLocator({ place, redis: { url }, secret })
    locators.push(locator)
    return locator
  }
  const told = { opened: [], ends: [], refused: [] }
  const all = await serveNodes(count, options, { told, locate })
  await until('the nodes know each other', () =>
    locators.every(({ state }) => state.isWell && state.nodes.length === count),
  )
  const { port } = await startBalancer(all.map((one) => one.port))
  return { ...allAsOne(all), port }
}

/**
 * Several nodes, as if they were one service: each connection of a raw peer goes to the next one, so a receiver lands
 * at another node than its sender.
 */
export async function serveAsNodes(
  count: number,
  options: ServiceOptions = {},
  tls?: TlsOptions,
): Promise<Served> {
  const told = { opened: [], ends: [], refused: [] }
  const all = await serveNodes(count, options, { told, ...(tls && { tls }) })
  takeTurns(all.map(({ port }) => port))
  return allAsOne(all)
}

function allAsOne(all: readonly Served[]): Served {
  const [first] = all
  if (first === undefined) throw new Error('Expected a node')
  return {
    ...first,
    broker: asOne(all.map(({ broker }) => broker)),
    service: asOne(all.map(({ service }) => service)),
  }
}

/** The first of several services, which counts and lists what all of them have. */
function asOne<Kind extends Service | Broker>(all: readonly Kind[]): Kind {
  const [first] = all
  if (first === undefined) throw new Error('Expected a service')
  const shared: Readonly<Record<string, unknown>> = {
    counts: () => all.map((one) => one.counts()).reduce(sum),
    sockets: (options: { ids?: boolean }) => all.flatMap((one) => one.sockets(options)),
    stop: (drainMs: number) => Promise.all(all.map((one) => 'stop' in one && one.stop(drainMs))),
    stopNow: () => all.map((one) => one.stopNow()),
    cancel: (id: string, signal?: AbortSignal) => all.some((one) => one.cancel(id, signal)),
  }
  return new Proxy(first, {
    get: (target, name) => {
      const member: unknown = shared[String(name)] ?? Reflect.get(target, name, target)
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}

type Counts = ReturnType<Service['counts']>

function sum(one: Counts, other: Counts): Counts {
  return {
    sockets: one.sockets + other.sockets,
    uploads: one.uploads + other.uploads,
    tombstones: one.tombstones + other.tombstones,
    awaiting: one.awaiting + other.awaiting,
    held: one.held + other.held,
  }
}

/** A service that is a node of a cluster. */
export interface ServedNode extends Served {
  readonly node: Carrier
}

/** How nodes find each other, and what they say. */
interface NodesSetup {
  readonly locate?: (place: Place) => Locator | Promise<Locator>
  /** Whether a node, by its number, has its links inside TLS alone. */
  readonly wantsTls?: (index: number) => boolean
}

/** Starts several nodes that share what they know in this process, or in the store of `locate`. */
export async function serveNodes(
  count: number,
  options: ServiceOptions = {},
  { locate, wantsTls = () => IS_CLUSTER_TLS, ...setup }: Omit<Setup, 'join'> & NodesSetup = {},
): Promise<ServedNode[]> {
  const store = new MemoryStore()
  const secret = randomBytes(32)
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const name = `node-${index}`
      let node: Carrier | undefined
      const served = await serveAlone(
        { ...(locate !== undefined && { ids: taggedIds(name) }), ...options },
        {
          ...setup,
          join: async (broker) => {
            node = await openNode({
              listenAt: { host: '127.0.0.1', port: 0 },
              secret,
              wantsTls: wantsTls(index),
              relay: broker.relay,
              name,
              locate: locate ?? ((place) => store.join(place)),
            })
            broker.join(node)
            onTestFinished(() => node?.close())
          },
        },
      )
      if (node === undefined) throw new Error('Expected a node')
      return { ...served, node }
    }),
  )
}

/** What the services of a test have said so far, in order. */
interface Told {
  readonly opened: SocketInfo[]
  readonly ends: (SocketStats & { id: string })[]
  readonly refused: string[]
}

interface Setup {
  readonly tls?: TlsOptions
  /** Called before the service listens. */
  readonly join?: (broker: Broker) => Promise<void>
  /** Where several services say what happens. */
  readonly told?: Told
}

/** One service. */
export async function serveAlone(
  options: ServiceOptions = {},
  { tls, join, told = { opened: [], ends: [], refused: [] } }: Setup = {},
): Promise<Served> {
  const { opened, ends, refused } = told
  // One that is no gear is refused.
  const relay = (process.env['ESS_RELAY'] ?? 'auto') as NonNullable<ServiceOptions['relay']>
  const service = createService({ relay, ...options })
  await join?.(brokerOf(service))
  const server = await listen(service, { port: 0, ...(tls && { tls }) })
  onTestFinished(async () => {
    await within(DEADLINE_MS, 'the server stops', server.stopNow())
    recordLog(log)
    recordSecrets([...opened, ...ends].map(({ id }) => id))
  })
  let log = ''
  const destination = new Writable({
    write: (line: Buffer, _encoding, done) => {
      log += line
      done()
    },
  })
  const broker = brokerOf(service)
  logService(broker, 'json', new Outlet(destination))
  service.on('socket:opened', (socket) => opened.push(socket))
  for (const event of ['socket:end', 'socket:timeout', 'socket:moved', 'error:socket'] as const) {
    service.on(event, ({ id }, stats) => ends.push({ id, ...stats }))
  }
  service.on('request:refused', ({ code }) => refused.push(code))
  return { service, broker, server, port: server.port, opened, ends, refused }
}

/** A sender on the wire whose early response is there. */
export interface RawSender extends RawPeer {
  readonly id: string
  readonly url: string
}

/** What a sender's request says beyond the defaults: a chunked body, and its status as NDJSON. */
export interface SenderRequest {
  readonly target?: string
  /** Bytes; chunked when it is undefined. */
  readonly length?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** The head of a sender's request. */
export function senderHead({ target = 'POST /', length, headers }: SenderRequest = {}): string {
  return requestHead(target, {
    Accept: 'application/x-ndjson',
    ...(length === undefined ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(length) }),
    ...headers,
  })
}

/** Opens a socket; not a byte of the body is sent. */
export async function openSender(
  port: number,
  request: SenderRequest = {},
  options?: Parameters<typeof connectRaw>[1],
): Promise<RawSender> {
  const peer = await connectRaw(port, options)
  await peer.write(senderHead(request))
  const [, id = '', url = ''] = await peer.until(/"event":"opened","v":1,"id":"([^"]+)","url":"([^"]+)"/)
  return { ...peer, id, url }
}

/** Asks for a file; with `keep`, and everywhere but for a 200, the connection may be used again. */
export async function openReceiver(port: number, target: string, version?: string): Promise<RawPeer> {
  const peer = await connectRaw(port)
  await peer.write(requestHead(`GET ${target}`, {}, version))
  return peer
}

/** A receiver whose sender has been told of it. */
export async function connectReceiver(port: number, sender: RawSender): Promise<RawPeer> {
  const peer = await openReceiver(port, `/${sender.id}`)
  await sender.until(/"event":"connected"/)
  return peer
}

/** A piece of a chunked body. */
export function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`
}

export const LAST_CHUNK = '0\r\n\r\n'

/** The events a sender has read so far; an NDJSON line is a chunk of its own. */
export function eventsOf(sender: RawPeer): StatusEvent[] {
  const lines = sender.text().match(/^\{"event".*\}$/gm) ?? []
  return new StatusDecoder().push(`${lines.join('\n')}\n`)
}

/** Longer than the time between two reports of progress. */
const STILL_MS = 600

/** Waits until bytes have moved and no more do, as a sender of NDJSON is told; gives how many. */
export async function untilNoneMoves(sender: RawPeer): Promise<number> {
  let last = 0
  let since = performance.now()
  return until('no byte has moved for a while', () => {
    const events = eventsOf(sender).flatMap((event) => (event.event === 'progress' ? [event.bytes] : []))
    const now = events.at(-1) ?? 0
    if (now !== last) since = performance.now()
    last = now
    return performance.now() - since > STILL_MS ? now : 0
  })
}

/** The body of the answer that a receiver has read so far, as it was on the wire. */
export function bodyOf(peer: RawPeer): string {
  const text = peer.text()
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}

/** The sender has read that it failed, with `problem` in it, and its status stream ended as a failure does. */
export async function expectSenderFailed(sender: RawPeer, code: string, detail?: RegExp): Promise<void> {
  expect(await sender.ending()).toBe('fin')
  expect(eventsOf(sender).at(-1)).toMatchObject({
    event: 'failed',
    problem: {
      type: `urn:ess:problem:${code}`,
      ...(detail && { detail: expect.stringMatching(detail) }),
    },
  })
  // The line, the end of its chunk, and no last chunk.
  expect(sender.text()).toMatch(/\}\n\r\n$/)
}

/**
 * The receiver's answer was cut off, and it can tell: by a reset. haproxy makes an end in good order of every reset, in
 * both directions; there, the end of the answer is missing.
 */
export async function expectCutOff(receiver: RawPeer): Promise<void> {
  const how = await receiver.ending()
  if (RESETS_PASS) expect(how).toBe('rst')
  else expect(isWhole(receiver.text())).toBe(false)
}

function isWhole(text: string): boolean {
  try {
    const { headers, body } = parseAnswer(text)
    return headers['content-length'] === undefined || Number(headers['content-length']) === body.length
  } catch {
    // It has no last chunk, or no head.
    return false
  }
}

/** Waits until a socket has ended, and gives how all of them did. */
export async function untilEnded(served: Served, sockets = 1): Promise<Served['ends']> {
  await until(`${sockets} sockets have ended`, () => served.ends.length >= sockets)
  return served.ends
}
