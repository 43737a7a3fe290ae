import { EssError } from '../../shared/index.js'
import type { Entry } from '../node/entry.js'
import { withResolvers } from '../node/with-resolvers.js'
import { goneBecause } from './download-answer.js'
import type { SocketTerms } from './effects.js'
import type { Outcome } from './lifecycle.js'
import type { ResolvedOptions } from './options.js'
import type { EphemeralSocket } from './socket.js'

/** How often an id that is taken is drawn again before that is called a failure of the generator's. */
const ID_ATTEMPTS = 10

/** The most ids remembered after their end; the oldest is forgotten first. About 150 bytes each. */
const MAX_TOMBSTONES = 100_000

/** Which sockets exist, and which have lately ended. It mints the ids. */
export class Registry {
  readonly #options: ResolvedOptions
  /*
   * Looking a guess up tells nothing by the time it takes: a Map hashes the whole text, with a seed that is drawn for
   * each process, and compares it only with one of the same hash. There is no first half of an id or of a token to be
   * found before its second half.
   */
  readonly #sockets = new Map<string, Entry<EphemeralSocket>>()
  readonly #byToken = new Map<string, Entry<EphemeralSocket>>()
  /** In the order in which they were added, which is the order in which they are forgotten. */
  readonly #tombstones = new Map<string, { outcome: Outcome; untilMs: number }>()
  readonly #awaited = new Map<string, Set<() => void>>()
  #awaiting = 0

  constructor(options: ResolvedOptions) {
    this.#options = options
  }

  /** The sockets that have not ended. */
  sockets(): EphemeralSocket[] {
    return [...this.#sockets.values()].flatMap(({ member }) => member ?? [])
  }

  /** What is held in memory, by kind. */
  counts(): { sockets: number; tombstones: number; awaiting: number } {
    this.#forgetOld()
    return { sockets: this.#sockets.size, tombstones: this.#tombstones.size, awaiting: this.#awaiting }
  }

  /** Throws EssError `too-many-sockets` at the limit. */
  checkRoom(): void {
    const { maxSockets } = this.#options
    if (this.#sockets.size < maxSockets) return
    throw new EssError('too-many-sockets', `this server takes ${maxSockets} sockets, and all are taken`, {
      retryAfter: 30,
    })
  }

  /** An id that nobody has. Throws EssError `too-many-sockets` at the limit. */
  mint(): string {
    this.checkRoom()
    this.#forgetOld()
    const { matches, generate } = this.#options.ids
    for (let attempt = 0; attempt < ID_ATTEMPTS; attempt++) {
      const id = generate()
      if (matches(id) && !this.#sockets.has(id) && !this.#tombstones.has(id)) return id
    }
    throw new Error(
      `Expected ids.generate to give a free id that matches ids.pattern, got none in ${ID_ATTEMPTS} tries`,
    )
  }

  /** From here the socket can be found. */
  add(socket: EphemeralSocket): void {
    const { token } = socket.terms
    const entry = { member: socket }
    if (token !== undefined) this.#byToken.set(token, entry)
    this.#sockets.set(socket.id, entry)
    for (const found of this.#awaited.get(socket.id) ?? []) found()
  }

  /** The socket has ended; its id is remembered for a while. */
  bury({ id, token }: SocketTerms, outcome: Outcome): void {
    const entry = this.#sockets.get(id)
    if (entry !== undefined) entry.member = undefined
    this.#sockets.delete(id)
    if (token !== undefined) this.#byToken.delete(token)
    this.#forgetOld()
    this.#tombstones.set(id, { outcome, untilMs: performance.now() + this.#options.tombstoneTtlMs })
  }

  /** The socket with this id; undefined where it has ended, or never was. */
  get(id: string): EphemeralSocket | undefined {
    return this.#sockets.get(id)?.member
  }

  /** The same. Throws EssError `gone` where it has ended, `not-found` where it never was. */
  find(id: string): EphemeralSocket {
    const socket = this.get(id)
    if (socket !== undefined) return socket
    this.#forgetOld()
    const tombstone = this.#tombstones.get(id)
    if (tombstone !== undefined) throw goneBecause(tombstone.outcome)
    throw new EssError('not-found', 'no transfer has this id; it may have a typing error, or be long over')
  }

  /**
   * The socket whose upload resource has this token. Throws EssError `not-found`, in the same words whether it
   * never was or is over: a token is the sender's alone, and guessing tells nothing.
   */
  findUpload(token: string): EphemeralSocket {
    const socket = this.#byToken.get(token)?.member
    if (socket === undefined) throw new EssError('not-found', 'there is no such upload, or it is over')
    return socket
  }

  /**
   * Waits until a socket with this id is there, for at most `waitMs`, or until `signal` says that nobody wants
   * to know any more. It says nothing by itself: ask `find` afterwards.
   */
  async appears(id: string, waitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#awaiting >= this.#options.maxSockets) {
      throw new EssError('too-many-sockets', `${this.#awaiting} receivers are waiting already`, {
        retryAfter: 30,
      })
    }
    const { promise, resolve } = withResolvers<void>()
    const deadline = setTimeout(resolve, waitMs)
    const others = this.#awaited.get(id) ?? new Set()
    this.#awaited.set(id, others.add(resolve))
    this.#awaiting++
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    clearTimeout(deadline)
    this.#awaiting--
    others.delete(resolve)
    if (others.size === 0) this.#awaited.delete(id)
  }

  /** Ends every wait: nobody will come any more. */
  giveUpWaiting(): void {
    for (const waiting of this.#awaited.values()) for (const found of waiting) found()
  }

  /** All tombstones live equally long, so the old ones stand in front. */
  #forgetOld(): void {
    const nowMs = performance.now()
    for (const [id, { untilMs }] of this.#tombstones) {
      if (untilMs > nowMs && this.#tombstones.size < MAX_TOMBSTONES) return
      this.#tombstones.delete(id)
    }
  }
}
