import {
  EssError,
  HEADERS,
  isTerminal,
  MAX_TEXT_BYTES,
  type StatusEvent,
  type TerminalEvent,
} from '../../shared/index.js'
import { SENDING } from '../../shared/page-words-sending.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import type { Facts } from '../facts.js'
import { ask, JSON_ACCEPT } from '../http/ask.js'
import { hasManyConnections } from '../http/connections.js'
import { calledBack, Patience } from '../http/patience.js'
import { canGoOn, findPlace } from './find-place.js'
import { follow } from './follow.js'
import { KnownUpload } from './known-upload.js'
import { CAN_GO_ON, expectTaken, type Piece, pieceHeaders, refusalOf } from './piece.js'
import { PieceSize } from './piece-size.js'
import type { Opened } from './reopen.js'
import type { Reservation } from './reservation.js'
import { type Resource, verdictIn } from './resource.js'
import type { Sendable } from './sendable.js'
import { askState, watch } from './watch.js'
import { wholeBlob } from './whole-blob.js'

/** The server begins to count when it notices that we are gone, so we try for this much longer than it waits. */
const SLACK_MS = 60_000
/** A request that was open for so long didn't fail because nothing works. */
const LONG_MS = 10_000
/** How long a person who cancels waits for the server's word on who has what. */
const LAST_LOOK_MS = 2_000
/** How soon the events are asked for again. */
const FOLLOW_AGAIN_MS = 1_000
/** What may go by one request, which says its type: a text is shown by that. */
const WHOLE_BYTES = MAX_TEXT_BYTES

/**
 * Sends a body to a link that waits for it, and resolves with the verdict. The first request is an empty piece: it tells the
 * server that the sender is there, is answered when a receiver has come, and until then not a byte is read. Then piece
 * follows piece, each answered when it was handed on. After any failure it asks where to go on, for as long as the
 * server waits.
 */
export class Upload {
  readonly #facts: Facts
  readonly #known: KnownUpload
  readonly #sendable: Sendable
  readonly #opened: Omit<Opened, 'type'>
  readonly #onEvent: (event: StatusEvent) => void
  readonly #patience: Patience
  readonly #told = withResolvers<TerminalEvent>()
  /** Ends all that belongs to this upload. */
  readonly #over = new AbortController()
  /** Ends the request that is under way. */
  #attempt = new AbortController()
  #offset = 0
  readonly #pieceSize = new PieceSize()
  #isWhole: boolean
  #isFollowing = false
  /** True once the last byte was given to the network: from then on the receiver may have all. */
  #isAllOnItsWay = false
  /** True while it is asked where to go on. */
  #isBroken = false
  /** True while the person knows that the server can't be reached. */
  #isLossTold = false
  #newsAt = performance.now()

  /** `onEvent` is told what the person should know, in the events of the protocol. */
  constructor(
    { facts, sendable, token }: Omit<Opened, 'type'>,
    reservation: Reservation,
    onEvent: (event: StatusEvent) => void,
  ) {
    this.#facts = facts
    this.#known = new KnownUpload(reservation)
    this.#sendable = sendable
    this.#opened = { facts, sendable, token }
    this.#onEvent = onEvent
    this.#patience = new Patience(1000 * facts.resumeWithin + SLACK_MS)
    const { body, type } = sendable
    this.#isWhole = facts.resumeWithin === 0 || (type !== undefined && body.size <= WHOLE_BYTES)
  }

  /** See `KnownUpload`. */
  get resource(): Resource {
    return this.#known.resource
  }

  /**
   * Rejects with an EssError that no other try can mend, or with what `signal` was aborted with; if the receiver may have
   * everything by then, with an EssError `interrupted` that says so.
   */
  async run(signal: AbortSignal): Promise<TerminalEvent> {
    const stopped = new Promise<never>((_resolve, reject) => {
      const stop = () => void this.#reasonToStop(signal.reason).then(reject)
      signal.addEventListener('abort', stop, { signal: this.#over.signal })
      if (signal.aborted) stop()
    })
    const driving = this.#drive()
    // A loss that is met after the verdict says nothing.
    driving.catch(() => undefined)
    const stopWatching = watch(this)
    try {
      return await Promise.race([driving, this.#told.promise, stopped])
    } finally {
      stopWatching()
      this.#over.abort()
      this.#attempt.abort(this.#over.signal.reason)
    }
  }

  async #reasonToStop(reason: unknown): Promise<unknown> {
    if (!this.#isAllOnItsWay) return reason
    if (!this.isConnected) {
      // A small file goes by one request, which waits with the link: only the server knows whether someone has opened it.
      const state = await askState(this, AbortSignal.timeout(LAST_LOOK_MS))
      if (state?.event === 'waiting' || state?.event === 'reserved') return reason
    }
    return new EssError('interrupted', SENDING.stoppedLate)
  }

  /** When something was last heard of the request under way, by `performance.now`. */
  get newsAt(): number {
    return this.#newsAt
  }

  /** True while no request brings bytes, because the last one failed. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** True if the server's events come by themselves. */
  get isFollowing(): boolean {
    return this.#isFollowing
  }

  get isConnected(): boolean {
    return this.#known.isConnected
  }

  /** True while a request with the whole file waits with the link: then nothing but the state tells of a receiver. */
  get isUntold(): boolean {
    return this.#isAllOnItsWay && !this.isConnected
  }

  /** Gives up the request under way: its connection is dead, and neither side has noticed. */
  giveUp(reason: EssError): void {
    this.#attempt.abort(reason)
  }

  /** Takes what the server says of the upload. */
  take(event: StatusEvent): void {
    this.#newsAt = performance.now()
    this.#known.see(event)
    if (isTerminal(event)) {
      this.#told.resolve(event)
      return
    }
    if (event.event === 'opened') return
    if (event.event === 'rewind') {
      // An event may be late, and name the resource that we have moved to already.
      if (!this.resource.upload.href.endsWith(tokenOf(event.upload))) this.giveUp(new EssError('rewound'))
      return
    }
    if (event.event === 'moved') {
      this.giveUp(new EssError('moved'))
      return
    }
    const isNew = event.event === 'progress' && !this.isConnected
    if (isNew || event.event === 'connected' || event.event === 'resumed') this.#connected()
    // Our own loss is told when we meet it. Often we are back before anyone could read of it.
    if (event.event === 'interrupted' && event.side === 'sender') return
    if (event.event === 'progress' && event.bytes > 0) this.#patience.calm()
    this.#onEvent(event)
  }

  async #drive(): Promise<TerminalEvent> {
    for (;;) {
      const startedAt = performance.now()
      try {
        return await this.#send()
      } catch (reason) {
        if (!canGoOn(reason, this.#known)) throw this.#final(reason)
        if (this.#facts.resumeWithin === 0) throw this.#lost(reason)
        // What happens to the next node has nothing to do with what happened to this one.
        const isNew = reason.code === 'rewound' || reason.code === 'moved'
        if (isNew || performance.now() - startedAt > LONG_MS) this.#patience.calm()
        const verdict = await this.#findPlace(reason)
        if (verdict !== undefined) return verdict
      }
    }
  }

  /** Sends until the verdict. */
  async #send(): Promise<TerminalEvent> {
    if (this.#isWhole && this.#offset === 0) return await this.#sendWhole()
    const { body } = this.#sendable
    let ahead = this.#prepare()
    for (;;) {
      const piece = ahead
      // A Blob is handed to the browser's network as it is, and bytes are copied.
      const bytes = new Blob([await piece.bytes])
      if (piece.to === body.size) await body.confirm(this.#confirmMs)
      const startedAt = performance.now()
      this.#isAllOnItsWay = piece.to === body.size
      const asking = this.#ask('PATCH', pieceHeaders(piece), bytes)
      // The next piece is read and sealed while this one is on its way.
      if (piece.to < body.size && piece.to > piece.from) ahead = this.#prepare(piece.to)
      const answer = await asking
      if (piece.to === body.size && answer.status === 200) return verdictIn(answer)
      this.#expectTaken(() => expectTaken(answer, piece))
      this.#offset = piece.to
      this.#known.hear()
      this.#patience.calm()
      this.#connected()
      if (this.#isFollowing) this.#pieceSize.grow()
      else if (piece.to > piece.from)
        this.#pieceSize.fit(piece.to - piece.from, performance.now() - startedAt)
      if (piece.to > 0) this.#onEvent({ event: 'progress', bytes: piece.to, total: body.size })
      if (piece.to === piece.from) ahead = this.#prepare()
    }
  }

  async #sendWhole(): Promise<TerminalEvent> {
    const { body, type } = this.#sendable
    const blob = await wholeBlob(body, this.#over.signal)
    await body.confirm(this.#confirmMs)
    // Nothing else tells how far it is.
    if (body.size > WHOLE_BYTES) this.#follow()
    const headers = {
      accept: JSON_ACCEPT,
      'content-type': type ?? 'application/octet-stream',
      ...(this.#facts.resumeWithin > 0 && CAN_GO_ON),
    }
    this.#isAllOnItsWay = true
    const answer = await this.#ask('PUT', headers, blob)
    // A node that stops says so: no event has.
    if (answer.headers.get(HEADERS.essConnected) === '?1') this.#connected()
    if (answer.status !== 200) throw refusalOf(answer)
    return verdictIn(answer)
  }

  /** The server waits for the last piece, and longer for a whole file. */
  get #confirmMs(): number {
    return 1000 * (this.#facts.resumeWithin === 0 ? this.#facts.ttl : this.#facts.resumeWithin) * 0.5
  }

  /** Reads the piece that begins there. Without a receiver it is an empty one, unless the body is empty too. */
  #prepare(from = this.#offset): Piece & { readonly bytes: Promise<Uint8Array<ArrayBuffer>> } {
    const { body } = this.#sendable
    const to = this.isConnected || body.size === 0 ? body.pieceEnd(from, this.#pieceSize.bytes) : from
    const bytes = body.read(from, to)
    // Who waits for the piece meets the failure.
    bytes.catch(() => undefined)
    return { from, to, size: body.size, bytes }
  }

  async #ask(method: string, headers: Record<string, string>, body: Blob) {
    this.#attempt = new AbortController()
    this.#newsAt = performance.now()
    if (this.#over.signal.aborted) this.#attempt.abort(this.#over.signal.reason)
    const answer = await ask(this.resource.upload, { method, headers, body, signal: this.#attempt.signal })
    this.#newsAt = performance.now()
    return answer
  }

  /** Looks at the answer to a piece, and goes on in another way where a proxy takes none, or none of this size. */
  #expectTaken(check: () => void): void {
    try {
      check()
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      if (error.code === 'method-not-allowed' && this.#offset === 0 && !this.#isWhole) {
        this.#isWhole = true
        throw new EssError('connection-lost', undefined, { cause: error })
      }
      if (error.code !== 'too-large' || !this.#pieceSize.shrink()) throw error
      throw new EssError('connection-lost', undefined, { cause: error })
    }
  }

  #connected(): void {
    this.#isLossTold = false
    if (!this.isConnected) {
      this.#known.isConnected = true
      this.#onEvent({ event: 'connected' })
    }
    if (hasManyConnections()) this.#follow()
  }

  /** Resolves with the verdict if it is over. */
  async #findPlace(reason: EssError): Promise<TerminalEvent | undefined> {
    this.#isBroken = true
    const place = await findPlace(
      {
        known: this.#known,
        opened: { ...this.#opened, type: this.#isWhole ? this.#sendable.type : undefined },
        reason,
        offset: this.#offset,
        patience: this.#patience,
        onFailed: () => this.#tellLoss(),
      },
      this.#over.signal,
    ).catch((error: unknown) => {
      throw this.#final(error)
    })
    this.#isBroken = false
    if (typeof place === 'object') return place
    this.#offset = place
    if (this.#isLossTold) this.#onEvent({ event: 'resumed', bytes: place })
    this.#isLossTold = false
    return undefined
  }

  #tellLoss(): void {
    this.#isLossTold = true
    const { secondsLeft } = this.#patience
    this.#onEvent({ event: 'interrupted', side: 'sender', bytes: this.#offset, secondsLeft })
  }

  /** What the person is told of an error that no other try can mend. */
  #final(error: unknown): unknown {
    const isLost = error instanceof EssError && ['connection-lost', 'not-found'].includes(error.code)
    return isLost ? this.#lost(error) : error
  }

  /** The error for a server that can't be reached, or doesn't know the transfer any more. */
  #lost(cause: EssError): EssError {
    const isUnopened = !this.isConnected && !this.#isAllOnItsWay
    return new EssError('connection-lost', isUnopened ? SENDING.lostUnopened : SENDING.lost, { cause })
  }

  /** Follows the events from now on. While a link waits, nothing comes. */
  #follow(): void {
    if (this.#isFollowing) return
    this.#isFollowing = true
    const { signal } = this.#over
    const again = async () => {
      while (!signal.aborted) {
        const { resource } = this
        await follow(resource, signal, (event) => {
          // It may be late: that we have moved to another node already is no news.
          if (event.event !== 'moved' || resource === this.resource) this.take(event)
        })
        await calledBack(FOLLOW_AGAIN_MS, signal)
      }
    }
    // It never rejects.
    void again()
  }
}

function tokenOf(upload: string): string {
  return upload.slice(upload.lastIndexOf('/'))
}
