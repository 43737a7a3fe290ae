import { EssError, formatCount, type TerminalEvent } from '../../shared/index.js'
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
  readonly #tombstones = new Map<string, { outcome: Outcome; untilMs: number }>()
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

  /** From here the socket can be found. */
  add(socket: EphemeralSocket): void {
    const entry = { member: socket }
    for (const token of socket.tokens.all) {
      this.#byToken.set(token, entry)
      this.#nodes?.settle('token', token)
    }
    socket.tokens.onNew((added, dropped) => {
      this.#byToken.set(added, entry)
      this.#nodes?.settle('token', added)
      if (dropped === undefined) return
      this.#byToken.delete(dropped)
      this.#nodes?.leave('token', dropped)
    })
    this.#sockets.set(socket.id, entry)
    this.#room?.changed('sockets', 1)
    this.#nodes?.settle('id', socket.id)
    for (const found of this.#awaited.get(socket.id) ?? []) found()
  }

  /** Forgets a socket that has ended, and remembers its id for a while. */
  bury({ id, tokens, isResumable }: Subject, stats: SocketStats): void {
    const entry = this.#sockets.get(id)
    if (entry !== undefined) entry.member = undefined
    if (this.#sockets.delete(id)) this.#room?.changed('sockets', -1)
    for (const token of tokens.all) this.#byToken.delete(token)
    this.#forgetOld()
    // The verdict is kept here, and so the tokens stay until it is forgotten.
    if (isResumable) this.#endedUploads.add(tokens.all, verdictOf(stats))
    else for (const token of tokens.all) this.#nodes?.leave('token', token)
    this.#nodes?.leave('id', id)
    const { outcome } = stats
    this.#tombstones.set(id, { outcome, untilMs: performance.now() + this.#options.tombstoneTtlMs })
  }

  /** The socket with this id; undefined if it has ended or never existed. */
  get(id: string): EphemeralSocket | undefined {
    return this.#sockets.get(id)?.member
  }

  /** The socket with this id. Throws EssError `gone` if it ended lately, `not-found` if it never existed. */
  find(id: string): EphemeralSocket {
    const socket = this.get(id)
    if (socket !== undefined) return socket
    this.#forgetOld()
    const tombstone = this.#tombstones.get(id)
    if (tombstone !== undefined) throw goneBecause(tombstone.outcome)
    throw new EssError(
      'not-found',
      'This link leads to no transfer. Check the link for a typo; it may also have expired.',
    )
  }

  /**
   * The socket whose upload resource has this token. Throws EssError `not-found`, in the same words for a token that
   * never existed and one that is over: only the sender has it, and a guesser learns nothing.
   */
  findUpload(token: string): EphemeralSocket {
    const socket = this.#byToken.get(token)?.member
    if (socket === undefined)
      throw new EssError(
        'not-found',
        'No upload has this address. Check it for a typo; the upload may also be over.',
      )
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
    for (const [id, { untilMs }] of this.#tombstones) {
      if (untilMs > nowMs && this.#tombstones.size < MAX_TOMBSTONES) return
      this.#tombstones.delete(id)
    }
  }
}
