import type { RewindEvent } from '../../shared/index.js'
import type { Notes } from '../request/notes.js'
import { type Payload, veiled } from '../request/payload.js'
import { canReopen, type Reopening } from '../request/reopening.js'
import type { Reach } from '../request/resume.js'
import type { Audience } from './audience.js'
import { holdBody, releaseBody, type Segment } from './segment.js'

/** A file of which nothing is known yet. */
const UNKNOWN: Payload = {
  fileName: undefined,
  contentType: 'application/octet-stream',
  contentLength: undefined,
  sealed: undefined,
  bundle: undefined,
}

/** What a reservation says of its sender, and of the file. */
export interface Known extends Partial<Payload> {
  /** True if the sender knows how to go on at another node. */
  readonly canReopen?: boolean
}

/** The sender of a socket: what it said in its first request, and the request that is there now. */
export class SenderSide {
  readonly #audience: Audience
  readonly #closed: () => void
  #hasCome = false
  #payload: Payload
  #reach: Reach
  #canReopen = false
  #segment: Segment | undefined
  #offset = 0

  /** `known` is the reservation's, `past` that of a socket which another node had. `closed` is called when the connection of a watched request has closed. */
  constructor(
    audience: Audience,
    { canReopen = false, ...known }: Known,
    past: Reopening | undefined,
    closed: () => void,
  ) {
    this.#audience = audience
    this.#payload = { ...UNKNOWN, ...known }
    this.#canReopen = canReopen
    this.#closed = closed
    if (past === undefined) return
    this.#payload = past.payload
    this.#reach = past.reach
    this.#offset = past.offset
    this.#hasCome = true
    this.#canReopen = true
  }

  get payload(): Payload {
    return this.#payload
  }

  /** What it may not contradict any more. A reservation that said nothing of the kind leaves it to the upload. */
  get notes(): Notes | undefined {
    const { sealed, bundle } = this.#payload
    return this.#hasCome || sealed !== undefined || bundle !== undefined ? { sealed, bundle } : undefined
  }

  /** What the sender said it can do. */
  get reach(): Reach {
    return this.#reach
  }

  /** True if it knows how to go on at another node. */
  get canReopen(): boolean {
    return this.#canReopen
  }

  /** The request that is there. */
  get segment(): Segment | undefined {
    return this.#segment
  }

  /** The offset at which the sender's next segment has to begin, while there is none; else where this one began. */
  get offset(): number {
    return this.#offset
  }

  /** In the place of the one before, if there is one: that ends without a verdict, and its file keeps its name. */
  take(segment: Segment): void {
    if (!this.#hasCome) {
      const { payload } = segment
      const { fileName, sealed, bundle } = this.#payload
      this.#payload = veiled({
        ...payload,
        fileName: payload.fileName ?? fileName,
        sealed: payload.sealed ?? sealed,
        bundle: payload.bundle ?? bundle,
      })
      this.#reach = segment.reach
      this.#canReopen = canReopen(segment.request)
      this.#hasCome = true
    }
    this.#dismiss()
    this.#segment = segment
    this.#offset = segment.offset
    this.#audience.add(segment.status)
  }

  /** Its connection may still be open, if the sender has come back by another one. */
  lose(offset = this.#offset): void {
    this.#offset = offset
    this.#dismiss()
  }

  endPiece(offset = this.#offset): void {
    this.#offset = offset
    const left = this.#leave()
    if (left === undefined) return
    this.#audience.leave(left.status)
    left.status.endPiece(offset)
  }

  /** The rest will come by another request, from this offset or from where the next receiver wants it. */
  hold(offset: number | undefined): void {
    this.#offset = offset ?? this.#offset
    if (this.#segment !== undefined) holdBody(this.#segment)
  }

  /**
   * Has the sender begin at this offset. A sender that waits by a request of its own is told there; one that is away
   * finds out when it comes back. Returns what the others are to be told, unless the sender begins there anyway.
   */
  rewindTo(offset: number, newUpload: () => string): RewindEvent | undefined {
    const left = this.#leave()
    const goesBack = left !== undefined || offset < this.#offset
    this.#offset = offset
    if (!goesBack) return undefined
    const event: RewindEvent = { event: 'rewind', offset, upload: newUpload() }
    if (left !== undefined) {
      this.#audience.leave(left.status)
      left.status.redirect(event)
    }
    return event
  }

  watch(): void {
    this.#segment?.response.once('close', this.#closed)
  }

  unwatch(): void {
    this.#segment?.response.off('close', this.#closed)
  }

  /** Anything left of its body must not keep the sender from reading its verdict. */
  release(): void {
    if (this.#segment !== undefined) releaseBody(this.#segment)
  }

  /** The request that is there ends without a verdict. */
  #dismiss(): void {
    const left = this.#leave()
    if (left !== undefined) this.#audience.dismiss(left.status)
  }

  /** Lets go of the request that is there, and returns it. */
  #leave(): Segment | undefined {
    const left = this.#segment
    this.#segment = undefined
    if (left === undefined) return undefined
    releaseBody(left)
    left.response.off('close', this.#closed)
    return left
  }
}
