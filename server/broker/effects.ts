import { EssError, formatDuration, joinUrl, type ProgressEvent, uploadPath } from '../../shared/index.js'
import type { Ticking } from '../answer/progress-clock.js'
import type { Entry } from '../node/entry.js'
import { Occurrence } from '../node/occurrence.js'
import { timings } from '../node/timings.js'
import type { TransferEnd } from '../relay/transfer.js'
import { confirmsByItself } from '../request/confirm.js'
import type { Notes } from '../request/notes.js'
import type { Payload } from '../request/payload.js'
import type { Reopening } from '../request/reopening.js'
import type { Reach } from '../request/resume.js'
import { Audience } from './audience.js'
import type { Delivery } from './delivery.js'
import { namedFile } from './download-answer.js'
import { type Effect, type Input, MAX_EARLY_RECEIVERS } from './lifecycle.js'
import { ReturnTimer } from './return-timer.js'
import { isSenderThere, type Segment } from './segment.js'
import { type Known, SenderSide } from './sender-side.js'
import { type Cause, type SocketObserver, type Subject, verdictOf } from './subject.js'

/** Everything that one socket does, by the names in the table of `lifecycle.ts`, and the state that this needs. */
export class SocketEffects implements Record<Effect, (cause: Cause) => void>, Ticking {
  readonly #socket: Subject
  readonly #observer: SocketObserver
  readonly audience: Audience
  readonly senderCame = new Occurrence()
  readonly ended = new Occurrence()
  readonly #sender: SenderSide
  #delivery: Delivery | undefined
  /** True until the first receiver comes here. It may have got any number of bytes from another node. */
  #isReceiverElsewhere: boolean
  /** The offset up to which the last receiver had bytes. */
  #position: number
  #earlyReceivers = 0
  #ttl: NodeJS.Timeout | undefined
  readonly #return: ReturnTimer
  /** From a loss until bytes move again. */
  #wasInterrupted = false
  #isReported: boolean
  /** True for the bytes of the first receiver, up to the first loss. */
  #isFirst = false
  #ticking: Entry<Ticking> | undefined
  /** What the observer was told last. */
  #toldBytes: number

  constructor(socket: Subject, observer: SocketObserver, known: Known = {}, past?: Reopening) {
    this.#socket = socket
    this.#observer = observer
    const hadReceiver = past?.hadReceiver ?? false
    this.audience = new Audience(hadReceiver)
    this.#isReceiverElsewhere = hadReceiver
    this.#isReported = hadReceiver
    this.#position = past?.offset ?? 0
    this.#toldBytes = this.#position
    this.#sender = new SenderSide(this.audience, known, past, () => {
      const detail = 'The sender disconnected before the transfer began. Send the file again for a new link.'
      socket.apply('sender-lost', { detail })
    })
    this.#return = new ReturnTimer(socket.terms.returnMs, (detail) =>
      socket.apply('return-expired', { detail }),
    )
  }

  get payload(): Payload {
    return this.#sender.payload
  }

  /** What the sender has said of its file to the receiver alone; undefined while it may still say so. */
  get notes(): Notes | undefined {
    return this.#sender.notes
  }

  get segment(): Segment | undefined {
    return this.#sender.segment
  }

  get delivery(): Delivery | undefined {
    return this.#delivery
  }

  /** The offset up to which bytes were handed to the receiver's connection. */
  get bytes(): number {
    return this.#delivery?.position ?? this.#position
  }

  /** The highest offset from which a receiver may want the rest. */
  get highestReturn(): number {
    if (this.#isReceiverElsewhere) return this.payload.contentLength ?? Number.POSITIVE_INFINITY
    return this.bytes
  }

  /** True once a receiver has come, here or at another node. */
  get hadReceiver(): boolean {
    return this.#isReported
  }

  /** A receiver that is away says that it has all of these bytes. */
  believe(bytes: number): void {
    this.#position = bytes
  }

  /** The offset at which the sender's next segment has to begin. */
  get offset(): number {
    return this.#sender.offset
  }

  /** True if the sender knows how to go on at another node. */
  get canReopen(): boolean {
    return this.#sender.canReopen
  }

  /** How far the sender can go back; undefined if it can't go on at all. */
  get reach(): Reach {
    return this.#socket.terms.returnMs > 0 ? this.#sender.reach : undefined
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
    const total = this.payload.contentLength
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

  'take-sender'({ segment }: Cause): void {
    if (segment !== undefined) this.#sender.take(segment)
  }

  'lose-sender'(): void {
    this.#sender.lose(this.#delivery?.given)
  }

  'end-piece'(): void {
    this.#sender.endPiece(this.#delivery?.given)
  }

  /** Until bytes move, this alone notices a sender that goes away. */
  'watch-sender'(): void {
    this.#sender.watch()
  }

  /** From here the transfer notices: a sender that leaves after its last byte is no loss for the receiver. */
  'unwatch-sender'(): void {
    this.#sender.unwatch()
  }

  'release-sender'(): void {
    this.#sender.release()
  }

  /** In the place of the one before, if there is one: its connection only looks alive. */
  'take-receiver'({ delivery }: Cause): void {
    if (delivery === undefined) return
    this.#delivery?.drop()
    this.#delivery = delivery
    this.#isReceiverElsewhere = false
    const { id, terms } = this.#socket
    const { maxUploadBytes, stallTimeoutMs, relay } = terms
    const { reach } = this
    const ended = delivery.open(namedFile(this.payload, id, reach !== undefined && reach > 0), {
      maxUploadBytes,
      stallTimeoutMs,
      relay,
      wordMs: confirmsByItself(delivery.request) ? Math.max(timings.wordMs, terms.returnMs) : undefined,
      bodyBegan: () => this.#socket.apply('body-began'),
      ...(reach !== undefined && { paused: (loss) => this.#paused(loss) }),
    })
    // It never rejects, and nothing else waits for it.
    void ended.then((end) => this.#transferEnded(end, delivery))
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
    const left = this.#delivery
    if (left !== undefined) {
      this.#position = left.position
      left.drop()
      this.#delivery = undefined
    }
    // The rest comes by another request, from where the next receiver wants it.
    this.#sender.hold(left?.position)
  }

  /**
   * Has the sender begin at the offset that this receiver wants. Another token, because an upload resource's offset never
   * goes back (draft-ietf-httpbis-resumable-upload, section 4.3).
   */
  'ask-rewind'(): void {
    const newUpload = () => this.uploadUrl(this.#socket.tokens.renew())
    const event = this.#sender.rewindTo(this.#delivery?.from ?? 0, newUpload)
    if (event === undefined) return
    this.#wasInterrupted = true
    this.audience.tell(event)
  }

  /** The URL of the upload resource with this token. */
  uploadUrl(token: string): string {
    return joinUrl(this.#socket.terms.base, uploadPath(token))
  }

  'arm-return'({ detail }: Cause): void {
    const state = this.#socket.state()
    this.#return.arm(detail, state.event === 'interrupted' ? state.side : 'sender')
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
    if (this.segment !== undefined) this.#delivery?.join(this.segment)
  }

  'report-receiver'(): void {
    if (this.#delivery === undefined) return
    if (!this.#isReported) this.#observer.connected(this.#socket, this.#delivery.request)
    else if (this.#wasInterrupted) this.#observer.resumed(this.#socket, this.offset)
    this.#isFirst = !this.#isReported
    this.#isReported = true
  }

  'start-relay'(): void {
    const segment = this.segment
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
    const isOver = () => this.#socket.phase !== 'streaming' || this.segment !== segment
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
    // A receiver has come back for bytes that it lost, and the sender is away: nothing has moved yet.
    if (this.#wasInterrupted && bytes < this.#toldBytes) return
    if (bytes !== this.#toldBytes) this.#observer.progress(this.#socket, bytes)
    this.#toldBytes = bytes
  }

  /** A relay that has delivered has stopped by itself. */
  'stop-relay'({ ending }: Cause): void {
    this.#socket.terms.progress.stop(this.#ticking)
    if (ending?.error !== undefined) void this.#delivery?.stop()
  }

  'fail-receiver'({ ending }: Cause): void {
    if (ending?.error !== undefined) this.#delivery?.fail(ending.error)
  }

  'tell-followers'(): void {
    this.#wasInterrupted = false
    this.audience.tell(this.#socket.state(), this.segment?.status)
  }

  'tell-verdict'({ ending }: Cause): void {
    if (ending?.outcome === 'moved') this.audience.move()
    else if (ending !== undefined) this.audience.conclude(verdictOf(ending))
  }

  'report-end'({ ending }: Cause): void {
    this.ended.happen()
    if (ending === undefined) return
    const durationMs = Math.round(this.#socket.ageMs)
    const { gear, firstByteMs } = this.#delivery ?? { gear: undefined, firstByteMs: undefined }
    this.#observer.closed(this.#socket, { ...ending, durationMs, gear, firstByteMs })
  }
}
