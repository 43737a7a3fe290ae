import {
  EssError,
  formatDuration,
  joinUrl,
  type ProgressEvent,
  type RewindEvent,
  uploadPath,
} from '../../shared/index.js'
import type { Ticking } from '../answer/progress-clock.js'
import type { Entry } from '../node/entry.js'
import { Occurrence } from '../node/occurrence.js'
import type { TransferEnd } from '../relay/transfer.js'
import type { Payload } from '../request/payload.js'
import type { Reach } from '../request/resume.js'
import { Audience } from './audience.js'
import type { Delivery } from './delivery.js'
import { type Effect, type Input, MAX_EARLY_RECEIVERS } from './lifecycle.js'
import { ReturnTimer } from './return-timer.js'
import { holdBody, isSenderThere, releaseBody, type Segment } from './segment.js'
import { type Cause, type SocketObserver, type Subject, verdictOf } from './subject.js'

/** A file of which nothing is known yet. */
const UNKNOWN: Payload = {
  fileName: undefined,
  contentType: 'application/octet-stream',
  contentLength: undefined,
}

/** Everything that one socket does, by the names in the table of `lifecycle.ts`, and the state that this needs. */
export class SocketEffects implements Record<Effect, (cause: Cause) => void>, Ticking {
  readonly #socket: Subject
  readonly #observer: SocketObserver
  readonly audience = new Audience()
  readonly senderCame = new Occurrence()
  readonly ended = new Occurrence()
  #payload: Payload
  #segment: Segment | undefined
  #delivery: Delivery | undefined
  /** What the sender said it can do, in its first request. */
  #reach: Reach
  /** The offset at which the sender's next segment begins, while there is none. */
  #offset = 0
  /** The offset up to which the last receiver had bytes. */
  #position = 0
  #earlyReceivers = 0
  #ttl: NodeJS.Timeout | undefined
  readonly #return: ReturnTimer
  /** From a loss until bytes move again. */
  #wasInterrupted = false
  #hasSender = false
  #isReported = false
  /** True for the bytes of the first receiver, up to the first loss. */
  #isFirst = false
  #ticking: Entry<Ticking> | undefined
  /** What the observer was told last. */
  #toldBytes = 0

  constructor(socket: Subject, observer: SocketObserver, known: Partial<Payload> = {}) {
    this.#socket = socket
    this.#observer = observer
    this.#payload = { ...UNKNOWN, ...known }
    this.#return = new ReturnTimer(socket.terms.returnMs, (detail) =>
      socket.apply('return-expired', { detail }),
    )
  }

  get payload(): Payload {
    return this.#payload
  }

  get segment(): Segment | undefined {
    return this.#segment
  }

  get delivery(): Delivery | undefined {
    return this.#delivery
  }

  /** The offset up to which bytes were handed to the receiver's connection. */
  get bytes(): number {
    return this.#delivery?.position ?? this.#position
  }

  /** The offset at which the sender's next segment has to begin. */
  get offset(): number {
    return this.#offset
  }

  /** How far the sender can go back; undefined if it can't go on at all. */
  get reach(): Reach {
    return this.#socket.terms.returnMs > 0 ? this.#reach : undefined
  }

  /** A loss after which that peer may come back is no end. */
  lossAsInterruption(input: Input, { isForGood = false }: Cause): Input {
    if (isForGood) return input
    if (input === 'sender-lost' && this.reach !== undefined) return 'sender-interrupted'
    const isReceivers = input === 'receiver-lost' || input === 'stalled'
    return isReceivers && this.reach !== undefined && this.reach > 0 ? 'receiver-interrupted' : input
  }

  /** Seconds that a missing peer has left to come back. */
  get secondsLeft(): number {
    return this.#return.secondsLeft
  }

  /** Says how far the transfer is; undefined before there is one. */
  get progress(): (() => ProgressEvent) | undefined {
    if (this.#delivery === undefined && this.#position === 0) return undefined
    const total = this.#payload.contentLength
    return () => ({ event: 'progress', bytes: this.bytes, ...(total !== undefined && { total }) })
  }

  'arm-ttl'(): void {
    const { ttlMs } = this.#socket.terms
    const detail = `The transfer did not begin within ${formatDuration(ttlMs / 1000)}, so the link expired. Send the file again for a new link.`
    this.#ttl = setTimeout(() => this.#socket.apply('expired', { detail }), ttlMs)
  }

  'clear-ttl'(): void {
    clearTimeout(this.#ttl)
  }

  /** Throws EssError `busy` when as many wait as may. */
  'hold-receiver'(): void {
    if (this.#earlyReceivers >= MAX_EARLY_RECEIVERS)
      throw new EssError(
        'busy',
        `${this.#earlyReceivers} receivers are waiting for the sender of this file already, and only one will get it. Ask the sender for a link of your own.`,
      )
    this.#earlyReceivers++
  }

  'let-receiver-go'(): void {
    this.#earlyReceivers--
  }

  'free-receivers'(): void {
    this.senderCame.happen()
  }

  /** In the place of the one before, if there is one: that ends without a verdict, and its file keeps its name. */
  'take-sender'({ segment }: Cause): void {
    if (segment === undefined) return
    if (!this.#hasSender) {
      this.#payload = { ...segment.payload, fileName: segment.payload.fileName ?? this.#payload.fileName }
      this.#reach = segment.reach
      this.#hasSender = true
    }
    this.#dismissSegment()
    this.#segment = segment
    this.#offset = segment.offset
    this.audience.add(segment.status)
  }

  /** The request that is there ends without a verdict. */
  #dismissSegment(): void {
    const left = this.#takeSegment()
    if (left !== undefined) this.audience.dismiss(left.status)
  }

  /** Lets go of the request that is there, and returns it. */
  #takeSegment(): Segment | undefined {
    const left = this.#segment
    this.#segment = undefined
    if (left === undefined) return undefined
    releaseBody(left)
    left.response.off('close', this.#senderClosed)
    return left
  }

  /** Its connection may still be open, if the sender has come back by another one. */
  'lose-sender'(): void {
    this.#offset = this.#delivery?.given ?? this.#offset
    this.#dismissSegment()
  }

  'end-piece'(): void {
    this.#offset = this.#delivery?.given ?? this.#offset
    const left = this.#takeSegment()
    if (left === undefined) return
    this.audience.leave(left.status)
    left.status.endPiece(this.#offset)
  }

  /** Until bytes move, this alone notices a sender that goes away. */
  'watch-sender'(): void {
    this.#segment?.response.once('close', this.#senderClosed)
  }

  /** From here the transfer notices: a sender that leaves after its last byte is no loss for the receiver. */
  'unwatch-sender'(): void {
    this.#segment?.response.off('close', this.#senderClosed)
  }

  /** Anything left of its body must not keep the sender from reading its verdict. */
  'release-sender'(): void {
    if (this.#segment !== undefined) releaseBody(this.#segment)
  }

  /** In the place of the one before, if there is one: its connection only looks alive. */
  'take-receiver'({ delivery }: Cause): void {
    if (delivery === undefined) return
    this.#delivery?.drop()
    this.#delivery = delivery
    const { id, terms } = this.#socket
    const { maxUploadBytes, stallTimeoutMs, relay } = terms
    const isResumable = this.reach !== undefined
    const ended = delivery.open(
      { id, isResumable: isResumable && this.#canRewind, ...this.#payload },
      {
        maxUploadBytes,
        stallTimeoutMs,
        relay,
        bodyBegan: () => this.#socket.apply('body-began'),
        ...(isResumable && { paused: (loss) => this.#paused(loss) }),
      },
    )
    // It never rejects, and nothing else waits for it.
    void ended.then((end) => this.#transferEnded(end, delivery))
  }

  get #canRewind(): boolean {
    return this.#reach !== undefined && this.#reach > 0
  }

  #paused(loss: string | undefined): void {
    if (loss === undefined) this.#socket.apply('piece-taken')
    else this.#socket.apply('sender-interrupted', { detail: loss })
  }

  #transferEnded(end: TransferEnd, delivery: Delivery): void {
    // Another receiver has taken its place.
    if (delivery !== this.#delivery) return
    if (end.input === 'delivered') this.#socket.apply('delivered', { isConfirmed: end.confirmed })
    else this.#socket.apply(end.input, { detail: end.detail })
  }

  'lose-receiver'(): void {
    if (this.#delivery !== undefined) {
      this.#position = this.#delivery.position
      this.#offset = this.#position
      this.#delivery.drop()
      this.#delivery = undefined
    }
    // It goes on from where the next receiver wants it, by another request.
    if (this.#segment !== undefined) holdBody(this.#segment)
  }

  /**
   * Has the sender begin at the offset that this receiver wants. A sender that waits by a request of its own is told
   * there; one that is away finds out when it comes back. Another token, because an upload resource's offset never goes
   * back (draft-ietf-httpbis-resumable-upload, section 4.3).
   */
  'ask-rewind'(): void {
    const offset = this.#delivery?.from ?? 0
    const left = this.#takeSegment()
    const goesBack = left !== undefined || offset < this.#offset
    this.#offset = offset
    if (!goesBack) return
    const event: RewindEvent = {
      event: 'rewind',
      offset,
      upload: this.uploadUrl(this.#socket.tokens.renew()),
    }
    if (left !== undefined) {
      this.audience.leave(left.status)
      left.status.redirect(event)
    }
    this.#wasInterrupted = true
    this.audience.tell(event)
  }

  /** The URL of the upload resource with this token. */
  uploadUrl(token: string): string {
    return joinUrl(this.#socket.terms.base, uploadPath(token))
  }

  'arm-return'({ detail }: Cause): void {
    this.#return.arm(detail)
  }

  'clear-return'(): void {
    this.#return.clear()
  }

  'tell-interrupted'(): void {
    this.#wasInterrupted = true
    this.audience.tell(this.#socket.state())
  }

  'report-interrupted'(): void {
    // What is counted goes on from here, or from before.
    this.tick()
    const state = this.#socket.state()
    if (state.event === 'interrupted') this.#observer.interrupted(this.#socket, state.side)
  }

  'join-relay'(): void {
    if (this.#segment !== undefined) this.#delivery?.join(this.#segment)
  }

  'report-receiver'(): void {
    if (this.#delivery === undefined) return
    if (!this.#isReported) this.#observer.connected(this.#socket, this.#delivery.request)
    else if (this.#wasInterrupted) this.#observer.resumed(this.#socket, this.offset)
    this.#isFirst = !this.#isReported
    this.#isReported = true
  }

  'start-relay'(): void {
    const segment = this.#segment
    if (segment === undefined) return
    if (isSenderThere(segment, this.#socket.terms.relay)) this.#startAtOnce(segment.request.complete)
    else this.#startWhenProbed(segment)
  }

  #startAtOnce(isAllHere: boolean): void {
    // A body that is all here is as good as delivered: its verdict follows as soon as this news.
    if (isAllHere) this.#announce(isAllHere)
    this.#delivery?.start()
    // The first bytes come before the news about them.
    if (!isAllHere && this.#socket.phase === 'streaming') this.#announce(isAllHere)
  }

  #announce(isAllHere: boolean): void {
    this.#tellOfReceiver(true)
    this.#tellProgress(!isAllHere)
  }

  #tellOfReceiver(canWait: boolean): void {
    if (this.#wasInterrupted && !this.#isFirst) this.audience.tell({ event: 'resumed', bytes: this.offset })
    this.#wasInterrupted = false
    this.audience.tellConnected(canWait)
  }

  #tellProgress(isNews: boolean): void {
    if (this.progress !== undefined) this.audience.follow(this.progress, isNews)
    this.#ticking ??= this.#socket.terms.progress.start(this)
  }

  /**
   * A paused sender that died, behind bytes that fill our window or where the kernel can't be asked, is noticed only by
   * writing to it. The first write makes its kernel answer with a reset; the second one, a turn later, meets that. Both
   * come before the first byte goes to the receiver.
   */
  #startWhenProbed(segment: Segment): void {
    const isOver = () => this.#socket.phase !== 'streaming' || this.#segment !== segment
    this.#tellOfReceiver(false)
    setImmediate(() => {
      if (isOver()) return
      this.#tellProgress(true)
      setImmediate(() => {
        if (!isOver()) this.#delivery?.start()
      })
    })
  }

  tick(): void {
    const { bytes } = this
    if (bytes !== this.#toldBytes) this.#observer.progress(this.#socket, bytes)
    this.#toldBytes = bytes
  }

  /** A relay that has delivered has stopped by itself. */
  'stop-relay'({ ending }: Cause): void {
    this.#socket.terms.progress.stop(this.#ticking)
    if (ending?.error !== undefined) this.#delivery?.stop()
  }

  'fail-receiver'({ ending }: Cause): void {
    if (ending?.error !== undefined) this.#delivery?.fail(ending.error)
  }

  'tell-followers'(): void {
    this.#wasInterrupted = false
    this.audience.tell(this.#socket.state(), this.#segment?.status)
  }

  'tell-verdict'({ ending }: Cause): void {
    if (ending !== undefined) this.audience.conclude(verdictOf(ending))
  }

  'report-end'({ ending }: Cause): void {
    this.ended.happen()
    if (ending === undefined) return
    const durationMs = Math.round(this.#socket.ageMs)
    const { gear, firstByteMs } = this.#delivery ?? { gear: undefined, firstByteMs: undefined }
    this.#observer.closed(this.#socket, { ...ending, durationMs, gear, firstByteMs })
  }

  /** The connection of the request that is there has closed. */
  readonly #senderClosed = (): void => {
    this.#socket.apply('sender-lost', {
      detail: 'The sender disconnected before the transfer began. Send the file again for a new link.',
    })
  }
}
