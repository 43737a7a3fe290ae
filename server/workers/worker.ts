import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { EssError } from '../../shared/index.js'
import type { ServiceOptions } from '../broker/options.js'
import type { Service } from '../broker/service.js'
import { brokerOf, createService, type EmbeddedService } from '../embed.js'
import type { Answers } from '../http2/server.js'
import { RETRY_AFTER } from '../limits/shares.js'
import { refuseBare } from '../listen/bare-answers.js'
import { READ_AHEAD_BYTES, type Speaking, speak } from '../listen/speak.js'
import type { Pair } from '../listen/tls.js'
import { Attachment } from '../node/attachment.js'
import { likeAccepted, openWithoutPort } from '../node/received-connection.js'
import { type Carrier, openNode } from '../nodes/carrier.js'
import type { Nodes } from '../nodes/nodes.js'
import { giveTo } from '../nodes/takeover.js'
import { logService } from '../ops/log.js'
import { measureService, type ServiceMetrics } from '../ops/metrics.js'
import { Outlet } from '../ops/outlet.js'
import { type Authorize, authorizeBy } from '../request/tokens.js'
import type { Channel } from './channel.js'
import { FarLocator } from './far-locator.js'
import {
  type ConnectionNote,
  type Handlers,
  handle,
  type PassedNote,
  type TokenHashes,
  type ToParent,
  type ToWorker,
} from './messages.js'
import { OtherWorkers } from './other-workers.js'
import { SharedLimits } from './shared-limits.js'

/** Where workers reach each other. Only a process that knows their secret is heard there. */
const LOOPBACK = '127.0.0.1'

type Begin = Extract<ToWorker, { kind: 'begin' }>

/** What may come after `begin`. */
type Later = Exclude<ToWorker, { kind: 'begin' }>

/** What a worker is made of. */
interface Parts {
  readonly embedded: EmbeddedService
  readonly service: Service
  readonly tokens: Tokens | undefined
  readonly carrier: Carrier
  readonly locator: FarLocator
}

/** One worker: a service of its own, on the connections that its parent gives it. */
export class Worker {
  readonly #channel: Channel<ToParent, ToWorker>
  readonly #service: Service
  readonly #limits: SharedLimits
  readonly #locator: FarLocator
  readonly #speaking: Speaking
  readonly #nodes: Nodes
  readonly #metrics: ServiceMetrics | undefined
  readonly #tokens: Tokens | undefined
  readonly #certificate: GivenCertificate | undefined
  /** The connections that are open, by their numbers. */
  readonly #open = new Map<number, Socket>()
  readonly #numbers = new Attachment<Socket, number>('number')
  readonly #passed = new Attachment<Socket, true>('passed')
  readonly #handlers: Handlers<Later> = {
    full: ({ what, client, isFull }) => this.#limits.setFull(what, client, isFull),
    out: ({ client, forMs }) => this.#service.shutOut(client, forMs),
    found: ({ ask, found }) => this.#locator.found(ask, found),
    settled: ({ ask }) => this.#locator.settled(ask),
    nodes: ({ nodes }) => this.#locator.setNodes(nodes),
    passed: ({ number }) => this.#letGo(number),
    tokens: ({ tokens }) => this.#tokens?.set(tokens),
    certificate: ({ pair }) => this.#certificate?.set(pair),
    // It never rejects: only our own code collects them.
    metrics: ({ ask }) => void this.#tellMetrics(ask),
    stop: ({ drainMs }) => this.#drain(drainMs),
    stopNow: () => {
      this.#drain(0)
      this.#service.stopNow()
    },
    // It never rejects.
    close: () => void this.#close().then(() => process.exit()),
  }
  #whenNoneIsOpen: (() => void) | undefined
  #isDraining = false

  private constructor(parts: Parts, begin: Begin, channel: Channel<ToParent, ToWorker>) {
    const { embedded, service, carrier, locator } = parts
    this.#channel = channel
    this.#service = service
    this.#locator = locator
    this.#tokens = parts.tokens
    this.#certificate = begin.pair && new GivenCertificate(begin.pair)
    this.#limits = new SharedLimits((message) => channel.soon(message))
    this.#service.shareClients(this.#limits)
    this.#service.shareRoom(this.#limits)
    const log = logService(
      this.#service,
      begin.log,
      new Outlet(process.stderr),
      Buffer.from(begin.logKey, 'hex'),
    )
    this.#metrics = begin.isMeasured ? measureService(this.#service, log) : undefined
    this.#nodes = new OtherWorkers(carrier, {
      canPass: (connection) => this.#numbers.get(connection) !== undefined,
      pass: (connection, bytes, to) => this.#pass(connection, bytes, to),
      isPassed: (connection) => this.#passed.get(connection) === true,
    })
    service.join(this.#nodes)
    const tls = this.#certificate && { certificate: this.#certificate, hstsMaxAge: begin.hstsMaxAge }
    // It answers HTTP/2 too; its public type names the response of a host's own server.
    this.#speaking = speak(this.#service, embedded.handler as Answers['request'], tls)
    openWithoutPort(this.#speaking.server)
  }

  /** Begins to serve, and tells the parent so. Rejects with Node's own error if it can't listen for other workers. */
  static async begin(begin: Begin, channel: Channel<ToParent, ToWorker>): Promise<Worker> {
    const tokens = begin.tokens && new Tokens(begin.tokens)
    const authorize = tokens?.authorize
    // The parent has checked them, and they have passed through JSON alone.
    const options = begin.options as ServiceOptions
    const embedded = createService({ ...options, ...(authorize !== undefined && { authorize }) })
    const service = brokerOf(embedded)
    const locator = new FarLocator(begin.name, (message, how) => channel[how](message))
    const carrier = await openNode({
      listenAt: { host: LOOPBACK, port: 0 },
      secret: Buffer.from(begin.secret, 'hex'),
      relay: service.relay,
      name: begin.name,
      locate: () => locator,
    })
    const worker = new Worker({ embedded, service, tokens, carrier, locator }, begin, channel)
    await service.relay.ready()
    const { gear, why } = service.relay
    channel.now({ kind: 'ready', gear, why, address: carrier.address })
    return worker
  }

  hear(message: Later): void {
    handle(this.#handlers, message)
  }

  /** A connection has come. Undefined if it was lost on its way. */
  take(note: ConnectionNote, connection: Socket | undefined): void {
    const { number, refusal, bytes, isPassed = false } = note
    if (connection === undefined) {
      this.#channel.soon({ kind: 'closed', number })
      return
    }
    this.#channel.now({ kind: 'took', number })
    this.#open.set(number, connection)
    this.#numbers.set(connection, number)
    connection.once('close', () => this.#closed(number))
    if (isPassed) this.#passed.set(connection, true)
    likeAccepted(connection, READ_AHEAD_BYTES)
    if (refusal !== undefined) this.#refuse(connection, refusal)
    else if (bytes === undefined) this.#speaking.server.emit('connection', connection)
    else giveTo(this.#speaking.server, connection, Buffer.from(bytes, 'base64'))
  }

  /** The parent is gone. */
  orphaned(): void {
    this.#service.stopNow()
    // It never rejects.
    void this.#close().then(() => process.exit(1))
  }

  #refuse(connection: Socket, words: string): void {
    const problem = new EssError('over-share', words, { retryAfter: RETRY_AFTER })
    this.#service.refused(problem, new IncomingMessage(connection))
    if (this.#certificate === undefined) refuseBare(connection, problem)
    else connection.destroy()
  }

  #pass(connection: Socket, bytes: Buffer, to: string): void {
    // `canPass` has seen that it has one.
    const number = this.#numbers.get(connection) ?? 0
    const note: PassedNote = { number, to, bytes: bytes.toString('base64') }
    // An error means that the parent is gone, which ends this process.
    process.send?.(note, connection, { keepOpen: true }, () => undefined)
  }

  /** The parent has it: this process's own copy goes, and the connection goes on elsewhere. */
  #letGo(number: number): void {
    const connection = this.#open.get(number)
    this.#open.delete(number)
    connection?.destroy()
  }

  async #tellMetrics(ask: number): Promise<void> {
    const metrics = await this.#metrics?.data()
    if (metrics !== undefined) this.#channel.now({ kind: 'metrics', ask, metrics })
  }

  #closed(number: number): void {
    if (this.#open.delete(number)) this.#channel.soon({ kind: 'closed', number })
    if (this.#open.size === 0) this.#whenNoneIsOpen?.()
  }

  #drain(drainMs: number): void {
    if (this.#isDraining) return
    this.#isDraining = true
    // It never rejects.
    void this.#service.stop(drainMs).then(() => this.#channel.now({ kind: 'drained' }))
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#whenNoneIsOpen = resolve
      if (this.#open.size === 0) resolve()
    })
    await this.#speaking.close(closed)
    await this.#nodes.close()
    this.#channel.flush()
  }
}

/** The tokens of a server, as their hashes. Which accesses ask for one doesn't change. */
class Tokens {
  readonly authorize: Authorize
  #digests: Readonly<Record<'send' | 'receive', readonly Buffer[] | undefined>>

  constructor(hashes: TokenHashes) {
    this.#digests = digestsOf(hashes)
    this.authorize = authorizeBy((access) => this.#digests[access])
  }

  set(hashes: TokenHashes): void {
    this.#digests = digestsOf(hashes)
  }
}

function digestsOf({ send, receive }: TokenHashes) {
  const digests = (hashes: readonly string[] | undefined) => hashes?.map((hash) => Buffer.from(hash, 'hex'))
  return { send: digests(send), receive: digests(receive) }
}

/** A certificate whose files the parent watches. */
class GivenCertificate {
  #pair: Pair
  #take: ((pair: Pair) => void) | undefined

  /** The parent has judged the pair, and it has passed through JSON alone. */
  constructor(pair: object) {
    this.#pair = pair
  }

  use(take: (pair: Pair) => void): void {
    this.#take = take
    take(this.#pair)
  }

  set(pair: object): void {
    this.#pair = pair
    this.#take?.(pair)
  }
}
