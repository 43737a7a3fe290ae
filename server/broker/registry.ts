import { randomBytes } from 'node:crypto'
import { EssError, formatCount, type TerminalEvent } from '../../shared/index.js'
import { goneElsewhere } from '../answer/gone-elsewhere.js'
import { nodeAway } from '../answer/node-away.js'
import type { Entry } from '../node/entry.js'
import { withResolvers } from '../node/with-resolvers.js'
import type { Nodes } from '../nodes/nodes.js'
import { goneBecause } from './download-answer.js'
import { EndedUploads } from './ended-uploads.js'
import type { SocketStats } from './events.js'
import type { Outcome } from './lifecycle.js'
import type { ResolvedOptions } from './options.js'
import type { EphemeralSocket } from './socket.js'
import { type Subject, verdictOf } from './subject.js'

/** How many taken ids in a row mean that the generator is broken. */
const ID_ATTEMPTS = 10

/** How many ids are remembered after their end, at about 150 bytes each. The oldest is forgotten first. */
const MAX_TOMBSTONES = 100_000

/** How full the other processes of this machine are. Is told of each socket and each early receiver here. */
export interface Room {
  isFull(what: 'sockets' | 'awaiting'): boolean
  changed(what: 'sockets' | 'awaiting', by: 1 | -1): void
}

/** What is remembered of a socket that has ended. */
interface Tombstone {
  readonly outcome: Outcome | 'over-elsewhere'
  readonly untilMs: number
}

/** Knows which sockets exist and which ended lately, and mints their ids. */
export class Registry {
  readonly #options: ResolvedOptions
  /*
   * A guesser learns nothing from how long a lookup takes. A Map hashes the whole text with a seed of this process, and
   * compares it only with a text of the same hash, so the first half of an id or a token can't be found by itself.
   */
  readonly #sockets = new Map<string, Entry<EphemeralSocket>>()
  readonly #byToken = new Map<string, Entry<EphemeralSocket>>()
  /** A Map keeps the order of insertion, and in this order they are forgotten. */
  readonly #tombstones = new Map<string, Tombstone>()
  /** The tokens of sockets that went on at another node, and until when they are remembered; the oldest first. */
  readonly #movedTokens = new Map<string, number>()
  readonly #awaited = new Map<string, Set<() => void>>()
  readonly #endedUploads: EndedUploads
  #awaiting = 0
  #room: Room | undefined
  #nodes: Nodes | undefined

  constructor(options: ResolvedOptions) {
    this.#options = options
    this.#endedUploads = new EndedUploads(options.tombstoneTtlMs, (token) =>
      this.#nodes?.leave('token', token),
    )
  }

  /** Tells the other nodes of each socket from now on. Call it before the first one. */
  join(nodes: Nodes): void {
    this.#nodes = nodes
  }

  /** Counts together with the machine's other processes from now on. Call it before the first socket. */
  shareRoom(room: Room): void {
    this.#room = room
  }

  /** How the transfer of this upload resource ended; undefined if it has not, or is forgotten. */
  verdictOf(token: string): TerminalEvent | undefined {
    return this.#endedUploads.of(token)
  }

  /** The sockets that have not ended. */
  sockets(): EphemeralSocket[] {
    return [...this.#sockets.values()].flatMap(({ member }) => member ?? [])
  }

  /** How many of each kind are held in memory. */
  counts(): { sockets: number; uploads: number; tombstones: number; awaiting: number } {
    this.#forgetOld()
    return {
      sockets: this.#sockets.size,
      uploads: this.#byToken.size,
      tombstones: this.#tombstones.size,
      awaiting: this.#awaiting,
    }
  }

  /** Throws EssError `too-many-sockets` at the limit. */
  checkRoom(): void {
    const { maxSockets } = this.#options
    if (this.#sockets.size < maxSockets && this.#room?.isFull('sockets') !== true) return
    throw new EssError(
      'too-many-sockets',
      `This server is full: it takes ${formatCount(maxSockets, 'transfer')} at a time.`,
      {
        retryAfter: 30,
      },
    )
  }

  /**
   * A free id. Throws EssError `too-many-sockets` at the limit, and an Error for a generator that gives no free one.
   */
  mint(): string {
    this.checkRoom()
    this.#forgetOld()
    const { matches, generate } = this.#options.ids
    for (let attempt = 0; attempt < ID_ATTEMPTS; attempt++) {
      const id = generate()
      if (matches(id) && !this.#sockets.has(id) && !this.#tombstones.has(id)) return id
    }
    throw new Error(
      `ids.generate gave no free id that matches ids.pattern in ${ID_ATTEMPTS} tries. Make it draw from more ids.`,
    )
  }

  /** A new token for the upload resource of this id. */
  newToken(id: string): string {
    return this.#nodes?.moves?.sign(id) ?? randomBytes(16).toString('base64url')
  }

  /** From here the socket can be found. */
  add(socket: EphemeralSocket): void {
    this.addHere(socket)
    this.settle(socket)
  }

  /** The same, but other nodes are not told of it before `settle`: one of them may have it. */
  addHere(socket: EphemeralSocket): void {
    const entry = { member: socket }
    for (const token of socket.tokens.all) this.#byToken.set(token, entry)
    socket.tokens.onNew((added, dropped) => {
      this.#byToken.set(added, entry)
      this.#nodes?.settle('token', added)
      if (dropped === undefined) return
      this.#byToken.delete(dropped)
      this.#nodes?.leave('token', dropped)
    })
    this.#tombstones.delete(socket.id)
    this.#sockets.set(socket.id, entry)
    this.#room?.changed('sockets', 1)
  }

  /** Tells the other nodes, and those who wait for its link, that a socket is here. */
  settle(socket: EphemeralSocket): void {
    // It has ended meanwhile.
    if (this.get(socket.id) !== socket) return
    for (const token of socket.tokens.all) this.#nodes?.settle('token', token)
    this.#nodes?.settle('id', socket.id)
    this.appeared(socket)
  }

  /** Tells the other nodes of this socket's newest token alone. No other node can have that one. */
  settleToken({ tokens: { current } }: EphemeralSocket): void {
    if (current !== undefined) this.#nodes?.settle('token', current)
  }

  /** Tells those who wait here for this socket's link. */
  appeared({ id }: EphemeralSocket): void {
    for (const found of this.#awaited.get(id) ?? []) found()
  }

  /** Tells the other nodes of a socket that has ended before they could be told that it was here. */
  settleLate({ id }: EphemeralSocket): void {
    this.#nodes?.settle('id', id)
    if (this.#tombstones.get(id)?.outcome === 'moved') this.#nodes?.moves?.letGo('id', id)
    else this.#nodes?.leave('id', id)
  }

  /** True for a token of this socket, also if it is one of those that are no longer known. */
  isTokenOf(token: string, { id, tokens }: EphemeralSocket): boolean {
    return tokens.all.includes(token) || this.#nodes?.moves?.isOf(token, id) === true
  }

  /** Forgets a socket that has ended, and remembers its id for a while. */
  bury({ id, tokens, isResumable }: Subject, stats: SocketStats): void {
    const entry = this.#sockets.get(id)
    if (entry !== undefined) entry.member = undefined
    if (this.#sockets.delete(id)) this.#room?.changed('sockets', -1)
    for (const token of tokens.all) this.#byToken.delete(token)
    this.#forgetOld()
    const { outcome } = stats
    const untilMs = performance.now() + this.#options.tombstoneTtlMs
    this.#tombstones.set(id, { outcome, untilMs })
    if (outcome === 'moved') {
      this.#letGo(id, tokens.all, untilMs)
      return
    }
    // The verdict is kept here, and so the tokens stay until it is forgotten.
    if (isResumable) this.#endedUploads.add(tokens.all, verdictOf(stats))
    else for (const token of tokens.all) this.#nodes?.leave('token', token)
    this.#nodes?.leave('id', id)
  }

  /** A socket that went on at another node has ended there. */
  buryMoved(id: string): void {
    const tombstone = this.#tombstones.get(id)
    if (tombstone?.outcome === 'moved') this.#tombstones.set(id, { ...tombstone, outcome: 'over-elsewhere' })
  }

  /** Its sender comes back with one of these tokens, and its receiver with the id, wherever they come. */
  #letGo(id: string, tokens: readonly string[], untilMs: number): void {
    const moves = this.#nodes?.moves
    for (const token of tokens) {
      this.#movedTokens.set(token, untilMs)
      moves?.letGo('token', token)
    }
    moves?.letGo('id', id)
  }

  /** The socket with this id; undefined if it has ended or never existed. */
  get(id: string): EphemeralSocket | undefined {
    return this.#sockets.get(id)?.member
  }

  /**
   * The socket with this id. Throws EssError `gone` if it ended lately, `node-away` if it went on at another node,
   * `not-found` if it never existed. A caller that saw a socket end knows its `lastOutcome`, also where none is remembered.
   */
  find(id: string, lastOutcome?: Outcome): EphemeralSocket {
    const socket = this.get(id)
    if (socket !== undefined) return socket
    this.#forgetOld()
    const outcome = this.#tombstones.get(id)?.outcome ?? lastOutcome
    if (outcome === 'moved') throw nodeAway()
    if (outcome === 'over-elsewhere') throw goneElsewhere()
    if (outcome !== undefined) throw goneBecause(outcome)
    throw new EssError(
      'not-found',
      'This link leads to no transfer. Check the link for a typo; it may also have expired.',
    )
  }

  /**
   * The socket whose upload resource has this token. Throws EssError `not-found`, in the same words for a token that
   * never existed and one that is over: only the sender has it, and a guesser learns nothing. Throws EssError `node-away`
   * if it went on at another node.
   */
  findUpload(token: string): EphemeralSocket {
    const socket = this.#byToken.get(token)?.member
    if (socket === undefined) {
      this.#forgetOld()
      throw this.#movedTokens.has(token) ? nodeAway() : noUpload()
    }
    return socket
  }

  /**
   * Waits until a socket with this id is there, here or on another node, until `waitMs` have passed, or until `signal` is aborted. It doesn't
   * say which: call `find` afterwards. Throws EssError `too-many-sockets` when too many wait.
   */
  async appears(id: string, waitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#awaiting >= this.#options.maxSockets || this.#room?.isFull('awaiting') === true) {
      throw new EssError(
        'too-many-sockets',
        `This server is full: ${this.#options.maxSockets} receivers are waiting already.`,
        {
          retryAfter: 30,
        },
      )
    }
    const { promise, resolve } = withResolvers<void>()
    const deadline = setTimeout(resolve, waitMs)
    const others = this.#awaited.get(id) ?? new Set()
    this.#awaited.set(id, others.add(resolve))
    this.#awaiting++
    this.#room?.changed('awaiting', 1)
    signal.addEventListener('abort', () => resolve(), { once: true })
    const stopListening = this.#nodes?.onSettled(id, resolve)
    await promise
    stopListening?.()
    clearTimeout(deadline)
    this.#awaiting--
    this.#room?.changed('awaiting', -1)
    others.delete(resolve)
    if (others.size === 0) this.#awaited.delete(id)
  }

  /** Ends every wait, because no socket will come any more. */
  giveUpWaiting(): void {
    for (const waiting of this.#awaited.values()) for (const found of waiting) found()
  }

  /** All tombstones live equally long, so the oldest come first. */
  #forgetOld(): void {
    const nowMs = performance.now()
    this.#forgetOldTokens(nowMs)
    for (const [id, { untilMs }] of this.#tombstones) {
      if (untilMs > nowMs && this.#tombstones.size < MAX_TOMBSTONES) return
      this.#tombstones.delete(id)
    }
  }

  #forgetOldTokens(nowMs: number): void {
    for (const [token, untilMs] of this.#movedTokens) {
      if (untilMs > nowMs && this.#movedTokens.size < MAX_TOMBSTONES) return
      this.#movedTokens.delete(token)
    }
  }
}

/** The refusal of a token that leads to no socket here. */
export function noUpload(): EssError {
  return new EssError(
    'not-found',
    'No upload has this address. Check it for a typo; the upload may also be over.',
  )
}
