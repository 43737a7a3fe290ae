import type { StatusEvent } from '../../shared/index.js'
import { IS_BALANCED } from '../helpers/other-node.js'
import type { TestServer } from '../helpers/start-server.js'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'
import { isHiddenHere } from './behind-balancer.js'
import { CUT_OFF, NO_LINK, type Observation, RESET, SILENCE, thenNext, WHOLE } from './expectations.js'
import { floodTo } from './flood.js'
import { type Cell, EFFECTS, FAULTS, type Leg, type Phase, type Version, versionOf } from './matrix.js'
import type { Answer, OutgoingFile, Peer } from './peer.js'
import type { ResumableCell } from './resumable-matrix.js'
import type { ServerLog } from './server-log.js'
import { eventsOf, finalVerdict, problemIn, streamVerdict } from './views.js'

/** Where cells are played: a real server, its log, and how its peers connect. */
export interface Arena {
  readonly server: TestServer
  readonly log: ServerLog
  connect(port: number, version: Version): Promise<Peer>
}

/**
 * Lets a server take what has reached its kernel: it answers two requests that came after that. Behind a balancer, that
 * takes it first, then each node, and then those that were told by another one.
 */
export async function settle({ server, connect }: Arena, version: Version): Promise<void> {
  const ask = async (port: number) => {
    const peer = await connect(port, version)
    try {
      peer.request({ method: 'GET', path: '/health' })
      await until('the server is well', () => peer.answer()?.isComplete)
    } finally {
      peer.destroy()
    }
  }
  for (let round = 0; round < 2; round++) await ask(server.port)
  const { nodes = [] } = server
  for (let round = 0; round < 4; round++) await Promise.all(nodes.map(({ port }) => ask(port)))
}

/** The half of a file. */
export const HALF_BYTES = 16 * 1024

/** So far into a request's head, or into the verdict, a fault strikes that falls within it. */
export const INTO_BYTES = 10

/**
 * A receiver by HTTP/2 that has everything is asked for its confirmation after a second. A fault that strikes later strikes
 * after that.
 */
const UNASKED_MS = 1000

/** The machine was too busy: the moment of this cell was over before the fault could strike. What came of it is another cell. */
export class MissedItsMoment extends Error {}

/**
 * True where a node could not find out in time which node has the link, on a busy machine. Clients come again then; here
 * the cell does, from its beginning.
 */
export function wasUnfound(peers: readonly Peer[]): boolean {
  return peers.some((peer) => {
    const { status, body } = peer.answer() ?? {}
    // That to a HEAD has no body.
    return status === 503 && /node-away|^$/.test(String(body))
  })
}

/** Call it when the last byte is sent, and the result when the server knows of the fault. Throws MissedItsMoment. */
export function beforeItIsAsked({ version, phase, fault }: Cell | ResumableCell): () => void {
  const isAtTheEnd = phase === 'unconfirmed' || phase === 'verdict'
  const isAsked = versionOf(version, 'receiver') === 'HTTP/2' && isAtTheEnd && EFFECTS[fault] !== 'harmless'
  const end = performance.now() + UNASKED_MS
  return () => {
    if (isAsked && performance.now() > end) throw new MissedItsMoment()
  }
}

/** The server waits 30 s for a confirmation. Tens of megabytes go through two nodes and a balancer, many times at once. */
export const END_MS = IS_BALANCED ? 120_000 : 45_000

/** Plays one cell from its opening to its end. Rejects where a truth is broken that no table excuses. */
export async function play(cell: Cell, arena: Arena, index: number): Promise<Observation> {
  const stage = new Stage(cell, arena, index)
  try {
    return await stage.play()
  } catch (error) {
    const words = `${error instanceof Error ? error.message : error}; ${stage.soFar()}`
    if (!(error instanceof MissedItsMoment) && !stage.wasUnfound()) throw new Error(words)
    await stage.giveUp()
    throw new MissedItsMoment(words)
  } finally {
    await stage.close()
  }
}

class Stage {
  readonly #cell: Cell
  readonly #arena: Arena
  readonly #file: OutgoingFile
  readonly #peers: Peer[] = []
  readonly #proxies: TcpProxy[] = []
  /** Where the fault strikes. */
  #proxy: TcpProxy | undefined
  #sender: Peer | undefined
  #receiver: Peer | undefined
  /** Who follows the upload resource of a reservation, and is never hurt. */
  #follower: Peer | undefined
  #uploadPath = '/'
  #downloadPath = ''
  #socket: string | undefined
  /** What the peer saw whose request never was whole, or that left before its time came. */
  #early: { readonly leg: Leg; readonly view: string } | undefined

  constructor(cell: Cell, arena: Arena, index: number) {
    this.#cell = cell
    this.#arena = arena
    this.#file = fileOf(cell, index)
  }

  async play(): Promise<Observation> {
    const { way, leg, phase } = this.#cell
    if (way === 'reservation') await this.#reserve()
    if (leg === 'receiver' && phase === 'waiting') {
      this.#receiver = await this.#receiverAsks()
      await this.#settle()
      await this.#strike()
      if (this.#effect === 'cut') {
        // The next one would find it busy.
        await this.#settle()
        await this.#replaceReceiver()
      }
    }
    if (!(await this.#senderAsks())) {
      return { outcome: 'none', sender: this.#early?.view ?? SILENCE, receiver: NO_LINK }
    }
    await this.#transfer()
    return await this.#end()
  }

  /** For the message of a failure. */
  soFar(): string {
    const end = this.#arena.log.ends().find(({ socket }) => socket === this.#socket)
    const seen = [this.#sender, this.#receiver].map((peer) => {
      const { status, body, isComplete } = peer?.answer() ?? {}
      return { status, bytes: body?.length, isComplete, ended: peer?.ended() }
    })
    return `the log says ${end?.outcome ?? 'nothing'}; sender and receiver have ${JSON.stringify(seen)}`
  }

  wasUnfound(): boolean {
    return wasUnfound(this.#peers)
  }

  /** Else a reservation would wait for a sender. All others end with their connections. */
  async giveUp(): Promise<void> {
    if (this.#cell.way === 'early response') return
    const asked = async () => {
      const peer = await this.#connect('direct')
      peer.request({ method: 'DELETE', path: this.#uploadPath })
      await until('DELETE is answered', () => peer.answer()?.isComplete)
      return !wasUnfound([peer])
    }
    await until('the reservation is given up', asked)
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.destroy()
    await Promise.all(this.#proxies.map((proxy) => proxy.close()))
  }

  get #effect(): 'harmless' | 'cut' | 'swallowed' {
    return EFFECTS[this.#cell.fault]
  }

  /** From the first meeting of both sides to the last byte, or to where the fault ends it. */
  async #transfer(): Promise<void> {
    const { leg, phase } = this.#cell
    const sender = this.#sender
    if (sender === undefined) return
    if (leg === 'sender' && (await this.#isStruck('waiting')) && this.#effect === 'cut') await this.#settle()
    this.#receiver ??= await this.#receiverAsks()
    const receiver = this.#receiver
    // Whether it has met its receiver is told to the sender, who may not hear it any more.
    if (leg === 'sender' && phase === 'waiting' && this.#effect !== 'harmless') return
    await this.#untilTold('connected')
    if (leg === 'receiver' && phase === 'waiting' && this.#effect === 'swallowed') return sender.sendTo('end')
    for (const [at, mark, bytes] of [
      ['connected', undefined, 0],
      ['midway', 'midway', HALF_BYTES],
      ['last', 'last', this.#size - (this.#file.isDeclared ? 1 : 0)],
    ] as const) {
      if (mark !== undefined) sender.sendTo(mark)
      await until(`the receiver has ${bytes} bytes`, () => (receiver.answer()?.body.length ?? 0) >= bytes)
      if (!(await this.#isStruck(at)) || this.#effect === 'harmless') continue
      if (this.#effect === 'swallowed' && leg === 'receiver') sender.sendTo('end')
      return
    }
    const expectInTime = beforeItIsAsked(this.#cell)
    sender.sendTo('end')
    await until('the receiver has all', () => receiver.answer()?.isComplete)
    if (isHiddenHere(this.#cell)) await until("the server's end has come", () => receiver.ended())
    if ((await this.#isStruck('unconfirmed')) && this.#effect === 'cut') await this.#settle()
    if (phase === 'verdict') await this.#untilAllIsTold()
    if (phase === 'verdict') void this.#proxy?.arm(FAULTS[this.#cell.fault], 'down', INTO_BYTES)
    expectInTime()
    receiver.close()
  }

  /** What came of it: first what the server says, then what each side has seen by then. */
  async #end(): Promise<Observation> {
    if (this.#socket === undefined) throw new Error('No socket has begun')
    const outcome = await this.#arena.log.endOf(this.#socket, END_MS)
    const [sender, receiver] = await Promise.all([this.#viewOfSender(), this.#viewOfReceiver()])
    await this.#checkFollower(outcome)
    return {
      outcome,
      sender: this.#early?.leg === 'sender' ? this.#expectWell(sender, 'delivered') : sender,
      receiver: this.#early?.leg === 'receiver' ? this.#expectWell(receiver, WHOLE) : receiver,
    }
  }

  /** The one that took the place of a peer that was hurt too early has to be served as if nothing had been. */
  #expectWell(view: string, well: string): string {
    if (view !== well)
      throw new Error(`Expected the next ${this.#early?.leg} to see "${well}", it saw "${view}"`)
    return thenNext(this.#early?.view ?? '', well)
  }

  async #reserve(): Promise<void> {
    const peer = await this.#connect('direct')
    this.#socket = await this.#arena.log.begins(async () => {
      peer.request({ method: 'POST', path: '/reserve', headers: { Accept: 'application/json' } })
      await until('the reservation is answered', () => peer.answer()?.isComplete)
      return true
    })
    // The server's own answer, whose members are used at once.
    const { id, upload } = JSON.parse(String(peer.answer()?.body)) as { id: string; upload: string }
    this.#downloadPath = `/${id}`
    this.#uploadPath = new URL(upload).pathname
    peer.destroy()
    this.#follower = await this.#connect('direct')
    this.#follower.request({ method: 'GET', path: `${this.#uploadPath}/events`, headers: AS_EVENTS })
    await this.#untilTold('reserved')
  }

  /** False where no socket came of it, as it had to be. */
  async #senderAsks(): Promise<boolean> {
    const isHurt = this.#cell.leg === 'sender' && this.#cell.phase === 'head' && this.#effect !== 'harmless'
    if (this.#cell.way === 'reservation') {
      this.#sender = await this.#senderRequest()
      if (isHurt) {
        this.#early = { leg: 'sender', view: await this.#viewOf('sender', this.#sender, () => undefined) }
        this.#sender = await this.#senderRequest('direct')
      }
      const told = this.#receiver === undefined ? 'waiting' : 'connected'
      await this.#untilTold(told)
      return true
    }
    this.#socket = await this.#arena.log.begins(async () => {
      this.#sender = await this.#senderRequest()
      if (!isHurt) return true
      this.#early = { leg: 'sender', view: await this.#viewOf('sender', this.#sender, () => undefined) }
      return false
    })
    if (this.#socket === undefined) return false
    const { id } = await this.#untilTold('opened')
    this.#downloadPath = `/${id}`
    return true
  }

  async #senderRequest(road?: 'direct'): Promise<Peer> {
    const peer = await this.#connect(road ?? 'sender')
    const struck = road === undefined ? this.#armForHead('sender') : undefined
    peer.request({ method: 'PUT', path: this.#uploadPath, headers: AS_EVENTS, file: this.#file })
    await struck
    return peer
  }

  async #receiverAsks(): Promise<Peer> {
    const peer = await this.#connect('receiver')
    const struck = this.#armForHead('receiver')
    peer.request({ method: 'GET', path: this.#downloadPath })
    await struck
    this.#receiver = peer
    const isHurt = this.#cell.leg === 'receiver' && this.#cell.phase === 'head' && this.#effect !== 'harmless'
    return isHurt ? await this.#replaceReceiver() : peer
  }

  async #replaceReceiver(): Promise<Peer> {
    const hurt = this.#receiver
    if (hurt === undefined) throw new Error('There was no receiver')
    this.#early = { leg: 'receiver', view: await this.#viewOf('receiver', hurt, () => undefined) }
    const next = await this.#connect('direct', 'receiver')
    next.request({ method: 'GET', path: this.#downloadPath })
    this.#receiver = next
    return next
  }

  #armForHead(leg: Leg): Promise<void> | undefined {
    const { phase, fault } = this.#cell
    if (this.#cell.leg !== leg || phase !== 'head' || this.#proxy === undefined) return undefined
    return within(DEADLINE_MS, 'the fault strikes the head', this.#proxy.arm(FAULTS[fault], 'up', INTO_BYTES))
  }

  async #isStruck(phase: Phase): Promise<boolean> {
    if (this.#cell.phase !== phase) return false
    await this.#strike()
    return true
  }

  async #strike(): Promise<void> {
    await this.#proxy?.strike(FAULTS[this.#cell.fault])
  }

  /** The connection of a peer, through the proxy where the fault is to strike it; of others, as of `like`. */
  async #connect(whose: Leg | 'direct', like: Leg = 'sender'): Promise<Peer> {
    let { port } = this.#arena.server
    if (whose === this.#cell.leg) {
      this.#proxy = await startTcpProxy(port)
      this.#proxies.push(this.#proxy)
      port = this.#proxy.port
    }
    const version = versionOf(this.#cell.version, whose === 'direct' ? like : whose)
    const peer = await this.#arena.connect(port, version)
    this.#peers.push(peer)
    return peer
  }

  #settle(): Promise<void> {
    return settle(this.#arena, versionOf(this.#cell.version, 'sender'))
  }

  /** The first event of this name in the status stream: the sender's own, or the follower's. */
  async #untilTold<E extends StatusEvent['event']>(event: E): Promise<Extract<StatusEvent, { event: E }>> {
    const listener = this.#follower ?? this.#sender
    const found = await until(`the status stream says "${event}"`, () => {
      const events = eventsOf(listener?.answer())
      return events.find((one): one is Extract<StatusEvent, { event: E }> => one.event === event)
    })
    // What `until` gives is truthy.
    return found as Extract<StatusEvent, { event: E }>
  }

  /** Nothing but the verdict is still to come in the sender's response. */
  async #untilAllIsTold(): Promise<void> {
    if (this.#cell.way === 'reservation') return
    await until('the sender is told of the last byte', () =>
      eventsOf(this.#sender?.answer()).some((one) => one.event === 'progress' && one.bytes === this.#size),
    )
  }

  #viewOfSender(): Promise<string> {
    if (this.#sender === undefined) throw new Error('There was no sender')
    const isHurt = this.#early?.leg === 'sender' ? 'well' : 'sender'
    const { brokenBy } = this.#sender
    return this.#viewOf(isHurt, this.#sender, (answer, ended) => {
      if (this.#cell.way === 'reservation') return finalVerdict(answer)
      return streamVerdict(answer, ended, brokenBy)
    })
  }

  #viewOfReceiver(): Promise<string> {
    if (this.#receiver === undefined) throw new Error('There was no receiver')
    const isHurt = this.#early?.leg === 'receiver' ? 'well' : 'receiver'
    return this.#viewOf(isHurt, this.#receiver, (answer, ended) => {
      if (answer.status !== 200) return undefined
      if (answer.isComplete) return this.#isWhole(answer.body) ? WHOLE : 'complete, but not what was sent'
      return ended === 'rst' && this.#cell.leg === 'sender' ? RESET : undefined
    })
  }

  #isWhole(body: Buffer): boolean {
    const { firstHalf, secondHalf } = this.#file
    return body.equals(Buffer.concat([firstHalf, secondHalf]))
  }

  get #size(): number {
    return this.#file.firstHalf.length + this.#file.secondHalf.length
  }

  /** What a side has seen, when nothing more comes of it; `read` knows what an answer that is no problem means. */
  async #viewOf(
    side: Leg | 'well',
    peer: Peer,
    read: (answer: Answer, ended: 'fin' | 'rst' | undefined) => string | undefined,
  ): Promise<string> {
    const isSwallowed = side === this.#cell.leg && this.#effect === 'swallowed'
    if (isSwallowed) await this.#settle()
    else await until('the connection of a peer ends', () => peer.ended())
    const answer = peer.answer()
    const ended = peer.ended()
    const view = answer && (read(answer, ended) ?? problemIn(answer))
    return view ?? (ended === undefined ? SILENCE : CUT_OFF)
  }

  /** A follower of a reservation reads one verdict, as its last event, and the log agrees. */
  async #checkFollower(outcome: string): Promise<void> {
    const follower = this.#follower
    if (follower === undefined) return
    await until('the follower is told the end', () => follower.ended())
    const answer = follower.answer()
    const view = answer && streamVerdict(answer, follower.ended(), follower.brokenBy)
    const told = outcome.startsWith('delivered') ? outcome : `failed: ${outcome}`
    if (view !== told) throw new Error(`Expected the follower to be told "${told}", it was told "${view}"`)
  }
}

export const AS_EVENTS = { Accept: 'application/x-ndjson' }

/** Each cell's bytes are its own, so that a mix-up shows. */
function fileOf({ leg, fault, phase, length, version }: Cell, index: number): OutgoingFile {
  const isFlood =
    leg === 'receiver' && fault === 'black hole' && ['waiting', 'connected', 'midway'].includes(phase)
  const words = `cell ${index} `
  return {
    firstHalf: Buffer.alloc(HALF_BYTES, words),
    secondHalf: isFlood
      ? floodTo(versionOf(version, 'receiver'))
      : Buffer.alloc(HALF_BYTES + index, `${words}second half `),
    isDeclared: length === 'known',
  }
}
