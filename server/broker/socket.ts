import type { IncomingMessage } from 'node:http'
import { EssError, formatCount, type InterruptedEvent, type StatusEvent } from '../../shared/index.js'
import type { StatusSink } from '../answer/status-body.js'
import type { ResponsePort } from '../node/ports.js'
import { checkNotes, type Notes } from '../request/notes.js'
import type { Reopening } from '../request/reopening.js'
import { comesBack } from '../request/resume.js'
import { Delivery } from './delivery.js'
import { downloadHeaders, namedFile } from './download-answer.js'
import { SocketEffects } from './effects.js'
import {
  type Effect,
  effectsOf,
  type Input,
  nextStep,
  type Outcome,
  type Phase,
  phaseOf,
  type Stage,
} from './lifecycle.js'
import { isReadWhole, type Segment } from './segment.js'
import type { Known } from './sender-side.js'
import type { Cause, Ending, SocketObserver, SocketTerms, Subject } from './subject.js'
import type { UploadTokens } from './upload-tokens.js'

const NO_CAUSE: Cause = {}

/** Whose connection is missing, in the stages in which one is. */
const MISSING: Readonly<Partial<Record<Stage, InterruptedEvent['side']>>> = {
  absent: 'sender',
  'sender-away': 'sender',
  rewinding: 'sender',
  'receiver-away': 'receiver',
  'both-away': 'both',
}

/**
 * One pending transfer: its identity, its terms, and its stage. It is the only caller of the table in `lifecycle.ts`: a
 * verb says what happened, and the table says what is done about it.
 */
export class EphemeralSocket implements Subject {
  readonly terms: SocketTerms
  readonly tokens: UploadTokens
  readonly openedAt = Date.now()
  readonly #openedMs = performance.now()
  readonly #effects: SocketEffects
  #stage: Stage = 'reserved'
  #outcome: Outcome | undefined

  readonly #past: Reopening | undefined

  /**
   * It begins in `reserved`, and its TTL runs. `known` is the reservation's; what the sender says comes first. `past` is
   * that of a socket which another node had: call `reopen`.
   */
  constructor(
    terms: SocketTerms,
    tokens: UploadTokens,
    observer: SocketObserver,
    known?: Known,
    past?: Reopening,
  ) {
    this.terms = terms
    this.tokens = tokens
    this.#past = past
    this.#effects = new SocketEffects(this, observer, known, past)
    this.#run(effectsOf(this.#stage).enter, NO_CAUSE)
  }

  get id(): string {
    return this.terms.id
  }

  get phase(): Phase {
    return phaseOf(this.#stage)
  }

  /** How it ended; undefined until then. */
  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  get fileName(): string | undefined {
    return this.#effects.payload.fileName
  }

  /** True once it is known whether the file is sealed or a bundle. */
  get isNoted(): boolean {
    return this.#effects.notes !== undefined
  }

  /** `Ess-Sealed`, as the sender said it. */
  get sealed(): string | undefined {
    return this.#effects.payload.sealed
  }

  get contentType(): string {
    return this.#effects.payload.contentType
  }

  /** `Ess-Bundle`, as the sender said it in the open. */
  get bundle(): string | undefined {
    return this.#effects.payload.bundle
  }

  get contentLength(): number | undefined {
    return this.#effects.payload.contentLength
  }

  get ageMs(): number {
    return performance.now() - this.#openedMs
  }

  get expiresAt(): number {
    // By the clock as it is set now. It was set if it is a second off; less is the time between two readings.
    const setByMs = Date.now() - this.openedAt - this.ageMs
    return this.openedAt + this.terms.ttlMs + (Math.abs(setByMs) < 1000 ? 0 : Math.round(setByMs))
  }

  /** Settled when a reservation is over: its sender came, or it ended without one. */
  get senderCame(): Promise<void> {
    return this.#effects.senderCame.promise
  }

  /** The same, or when `signal` is aborted. */
  async senderCameOr(signal: AbortSignal): Promise<void> {
    await this.#effects.senderCame.orAborted(signal)
  }

  /** Settled when the socket has ended, well or not. */
  get ended(): Promise<void> {
    return this.#effects.ended.promise
  }

  get isResumable(): boolean {
    return this.#effects.reach !== undefined
  }

  /** The offset at which the sender's next request has to begin. */
  get offset(): number {
    return this.#effects.offset
  }

  /** The offset up to which bytes were handed to the receiver's connection. */
  get bytes(): number {
    return this.#effects.bytes
  }

  /** The request of the receiver that is there. */
  get receiverRequest(): IncomingMessage | undefined {
    return this.#effects.delivery?.request
  }

  /** The URL of the upload resource with this token. */
  uploadUrl(token: string): string {
    return this.#effects.uploadUrl(token)
  }

  /** The lowest offset at which a receiver may come back; undefined if none may. */
  get lowestReturn(): number | undefined {
    const { reach, delivery, offset } = this.#effects
    return reach === undefined || reach === 0 ? undefined : Math.max(0, (delivery?.given ?? offset) - reach)
  }

  /** The highest offset from which a receiver may want the rest. */
  get highestReturn(): number {
    return this.#effects.highestReturn
  }

  /** True if the sender can go on at another node, and so can the receiver, if one has come. */
  get canMove(): boolean {
    if (this.#stage === 'closed' || !this.#effects.canReopen) return false
    // Its sender has not come yet, and can begin anywhere.
    if (this.#stage === 'reserved') return this.terms.returnMs > 0
    if (!this.isResumable) return false
    return !this.#effects.hadReceiver || this.lowestReturn !== undefined
  }

  /**
   * True if a move would be no more than a pause for both sides: there is no receiver, or one that comes back by itself. One
   * that has everything but the end gets that sooner here; and one that has the end too doesn't come back.
   */
  get canMoveAtOnce(): boolean {
    const { delivery } = this.#effects
    if (!this.canMove || delivery === undefined) return this.canMove
    return comesBack(delivery.request) && this.bytes !== this.contentLength && !delivery.isEnding
  }

  /** The head of a download, the same for GET and HEAD. */
  downloadHeaders(request: IncomingMessage): Record<string, string | number> {
    const isResumable = this.lowestReturn !== undefined
    return downloadHeaders(namedFile(this.#effects.payload, this.id, isResumable), request, this.terms.cors)
  }

  state(): StatusEvent {
    const side = MISSING[this.#stage]
    if (side !== undefined) {
      const { bytes, secondsLeft } = this.#effects
      return { event: 'interrupted', side, bytes, secondsLeft }
    }
    const secondsLeft = Math.max(0, Math.round((this.terms.ttlMs - this.ageMs) / 1000))
    if (this.#stage === 'reserved') return { event: 'reserved', secondsLeft }
    return this.#stage === 'waiting' ? { event: 'waiting', secondsLeft } : { event: 'connected' }
  }

  /** Throws the refusal that this input would meet, and changes nothing. */
  inspect(input: 'sender-arrived' | 'receiver-arrived' = 'receiver-arrived'): void {
    const step = nextStep(this.#stage, input)
    if (typeof step === 'object' && 'refuse' in step) throw new EssError(step.refuse)
  }

  /**
   * Takes the sender: its first request, the one that goes on, or another one that begins again while no byte of the
   * one before has been read. Throws EssError `already-open`, `mismatching-upload-offset`, `bad-request` or `gone`.
   */
  admit(segment: Segment): void {
    this.inspect('sender-arrived')
    this.checkOffset(segment.offset)
    this.checkNotes(segment.payload)
    // The receiver may have read the length already.
    const isSameLength = segment.payload.contentLength === this.contentLength
    // A receiver that is there doesn't wait for another request of a sender that can't go on.
    const isWhole = segment.isLast || this.isResumable
    if (this.#effects.segment !== undefined && !(isSameLength && isWhole)) throw new EssError('already-open')
    this.apply('sender-arrived', { segment })
  }

  /** Throws EssError `mismatching-upload-offset` unless the sender's next request has to begin there. */
  checkOffset(offset: number): void {
    if (offset === this.offset) return
    throw new EssError(
      'mismatching-upload-offset',
      `This upload goes on at byte ${this.offset}. The request began at byte ${offset}.`,
      { fields: { 'Upload-Offset': String(this.offset), 'Upload-Complete': '?0' } },
    )
  }

  /** Throws EssError `bad-request` for what contradicts the head that a receiver may have read already. */
  checkNotes(notes: Notes): void {
    checkNotes(notes, this.#effects.notes)
  }

  /**
   * The sender asks where to go on, so the request that is there, if there is one, only looks alive. Settled when no
   * more of its bytes can come, and `offset` is final.
   */
  async senderReturned(): Promise<void> {
    const { segment, delivery } = this.#effects
    if (segment === undefined || this.#effects.reach === undefined) return
    const detail = "The sender's connection was lost."
    if (this.phase === 'streaming') await delivery?.loseSender(detail)
    else this.apply('sender-lost', { detail })
  }

  /**
   * Takes a receiver, and the bytes begin to move: from `from` on, for one that has the ones before. In `reserved` the
   * receiver is only held: call again when `senderCame` is settled, or call `loseEarlyReceiver`. Throws EssError `busy`
   * or `gone`.
   */
  receive(request: IncomingMessage, response: ResponsePort, from = 0): void {
    this.inspect('receiver-arrived')
    this.apply('receiver-arrived', { delivery: new Delivery(request, response, this.terms.cors, from) })
  }

  /** Takes a receiver that has come back, in the place of its old connection, which still looks alive. */
  receiveAgain(request: IncomingMessage, response: ResponsePort, from: number): void {
    this.apply('receiver-returned', { delivery: new Delivery(request, response, this.terms.cors, from) })
  }

  /** A receiver that was held in `reserved` has left. */
  loseEarlyReceiver(): void {
    this.apply('early-receiver-lost')
  }

  /** Tells `sink` about everything from now on. */
  tell(sink: StatusSink): void {
    const { audience, progress } = this.#effects
    audience.add(sink)
    if (this.phase !== 'streaming' || progress === undefined) return
    sink.send(progress())
    sink.follow(progress)
  }

  /** Tells `sink` no more, and ends it. */
  forget(sink: StatusSink): void {
    this.#effects.audience.dismiss(sink)
  }

  /** The sender, or the embedder, no longer wants the transfer. */
  cancel(detail = 'The sender stopped the transfer, so its link no longer works.'): void {
    this.apply('cancelled', { detail })
  }

  /**
   * The receiver has all of these bytes, and they are safe. Throws EssError `bad-request` if that can't be; then nothing
   * has changed.
   */
  confirm(bytes: number): void {
    const { delivery } = this.#effects
    if (delivery?.confirm(bytes)) return
    // Its connection was reset behind the last byte, so it has looked lost since.
    const isAway = this.#stage === 'receiver-away' || this.#stage === 'both-away'
    if (isAway && bytes === this.contentLength && bytes === this.highestReturn) {
      this.#effects.believe(bytes)
      this.apply('delivered', { isConfirmed: true })
      return
    }
    throw new EssError(
      'bad-request',
      `You said that you have ${formatCount(bytes, 'byte')}, and the server has sent ${formatCount(this.bytes, 'byte')} so far. Say it when the whole file is safe.`,
    )
  }

  /**
   * The receiver no longer wants the file, and will not come back. Without effect before there is one, and where its
   * connection says all: none could come back, and none was to say more.
   */
  giveUp(): void {
    if (!this.isResumable && this.#effects.delivery?.isUnsaid !== true) return
    this.apply('receiver-lost', {
      detail: 'The receiver stopped the download. Send the file again for a new link.',
      isForGood: true,
    })
  }

  /** Goes on where another node has left it. */
  reopen(): void {
    if (this.#past !== undefined) this.apply(this.#past.hadReceiver ? 'reopened-midway' : 'reopened')
  }

  /** This node stops, or another one has the socket. Both sides go on there. Only where `canMove`. */
  move(): void {
    const detail = 'This transfer goes on at another part of the server.'
    const moved = () => this.apply('moved', { detail })
    // The sender's connection is read here as soon as the socket has ended. A thread that still moved bytes then would give
    // the receiver later ones behind a gap, and the receiver goes on behind them. It never rejects.
    const released = this.#effects.delivery?.stop()
    if (released === undefined) moved()
    else void released.then(moved)
  }

  /** The server stops. */
  shutDown(): void {
    this.apply('shutting-down', {
      detail:
        'The server is stopping, which ended this transfer. Send the file again when the server is back.',
    })
  }

  /**
   * The body of `request` can't be read any further as HTTP or as a form, or it ended before it was whole. Without
   * effect when the sender has begun again by another request.
   */
  breakOff(
    request: IncomingMessage,
    input: 'bad-request' | 'sender-lost' | 'no-file-in-form',
    detail: string,
  ): void {
    const { segment, delivery } = this.#effects
    if (segment?.request !== request) return
    const mayGoOn = input === 'sender-lost' && this.#effects.reach !== undefined
    // It never rejects. What was read already stays on its way.
    if (mayGoOn && delivery !== undefined) void delivery.loseSender(detail)
    else this.apply(input, { detail })
  }

  /**
   * The sender of `request` has sent its whole body and closed its half. If it has gone altogether, its kernel answers
   * our next write with a reset. If nothing may be written yet, a waiting sender is taken to have left.
   */
  senderClosedItsHalf(request: IncomingMessage): void {
    const { segment } = this.#effects
    if (segment?.request !== request || this.#stage !== 'waiting' || segment.status.probe()) return
    this.apply('sender-lost', {
      detail:
        'The sender closed its side of the connection while it waited for a receiver. Send the file again, and keep the sender running.',
    })
  }

  /** True when the whole body of `request` was read below Node's parser, which takes the request for incomplete. */
  hasAllOf(request: IncomingMessage): boolean {
    const { segment } = this.#effects
    return segment?.request === request && isReadWhole(segment)
  }

  apply(given: Input, cause = NO_CAUSE): void {
    const input = this.#effects.lossAsInterruption(given, cause)
    const step = nextStep(this.#stage, input)
    if (step === 'ignored' || 'refuse' in step) return
    if ('stay' in step) {
      this.#run(step.stay, cause)
      return
    }
    this.#run(effectsOf(this.#stage).leave, cause)
    const isOver = 'close' in step
    this.#stage = isOver ? 'closed' : step.go
    if (isOver) this.#outcome = step.close
    const { enter } = effectsOf(this.#stage)
    this.#run(enter, isOver ? { ending: this.#endingOf(step.close, cause) } : cause)
  }

  #run(effects: readonly Effect[], cause: Cause): void {
    const stage = this.#stage
    for (const effect of effects) {
      // A listener of the embedder's may have cancelled the transfer.
      if (this.#stage !== stage) return
      this.#effects[effect](cause)
    }
  }

  #endingOf(outcome: Outcome, { detail, isConfirmed = false }: Cause): Ending {
    const error = outcome === 'delivered' ? undefined : new EssError(outcome, detail)
    return { outcome, error, bytes: this.#effects.bytes, confirmed: isConfirmed }
  }
}
