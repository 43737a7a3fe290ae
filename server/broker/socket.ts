import type { IncomingMessage } from 'node:http'
import { EssError, type StatusEvent } from '../../shared/index.js'
import type { StatusSink } from '../answer/status-body.js'
import type { ResponsePort } from '../node/ports.js'
import { Delivery } from './delivery.js'
import { downloadHeaders } from './download-answer.js'
import {
  type Cause,
  type Ending,
  SocketEffects,
  type SocketObserver,
  type SocketTerms,
  type Subject,
} from './effects.js'
import {
  type Effect,
  effectsOf,
  type Input,
  nextStep,
  type Outcome,
  type Phase,
  type Stage,
} from './lifecycle.js'
import { isReadWhole, type Segment } from './segment.js'

const NO_CAUSE: Cause = {}

/**
 * One pending transfer: its identity, its terms, and its stage. It is the only caller of the table in `lifecycle.ts`: a
 * verb says what happened, and the table says what is done about it.
 */
export class EphemeralSocket implements Subject {
  readonly terms: SocketTerms
  readonly openedAt = Date.now()
  readonly #openedMs = performance.now()
  readonly #effects: SocketEffects
  #stage: Stage = 'reserved'

  /** It begins in `reserved`, and its TTL runs. `fileName` is the reservation's; the sender's own name comes first. */
  constructor(terms: SocketTerms, observer: SocketObserver, fileName?: string) {
    this.terms = terms
    this.#effects = new SocketEffects(this, observer, fileName)
    this.#run(effectsOf(this.#stage).enter, NO_CAUSE)
  }

  get id(): string {
    return this.terms.id
  }

  get phase(): Phase {
    return this.#stage === 'connected' ? 'streaming' : this.#stage
  }

  get fileName(): string | undefined {
    return this.#effects.payload.fileName
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

  /** Settled when the socket has ended, well or not. */
  get ended(): Promise<void> {
    return this.#effects.ended.promise
  }

  /** The head of a download, the same for GET and HEAD. */
  downloadHeaders(request: IncomingMessage): Record<string, string | number> {
    return downloadHeaders({ id: this.id, ...this.#effects.payload }, request, this.terms.cors)
  }

  state(): StatusEvent {
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
   * Takes the sender: its first request, or another one that begins again while no byte of the first one's body has
   * been read. Throws EssError `already-open` or `gone`.
   */
  admit(segment: Segment): void {
    this.inspect('sender-arrived')
    // The receiver may have read the length already.
    const isSameLength = segment.payload.contentLength === this.contentLength
    if (this.#effects.segment !== undefined && !isSameLength) throw new EssError('already-open')
    this.apply('sender-arrived', { segment })
  }

  /**
   * Takes a receiver, and the bytes begin to move. In `reserved` the receiver is only held: call again when
   * `senderCame` is settled, or call `loseEarlyReceiver`. Throws EssError `busy` or `gone`.
   */
  receive(request: IncomingMessage, response: ResponsePort): void {
    this.inspect('receiver-arrived')
    this.apply('receiver-arrived', { delivery: new Delivery(request, response, this.terms.cors) })
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
  cancel(detail = 'The sender cancelled the transfer, so its link no longer works.'): void {
    this.apply('cancelled', { detail })
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
    if (this.#effects.segment?.request === request) this.apply(input, { detail })
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

  apply(input: Input, cause = NO_CAUSE): void {
    const step = nextStep(this.#stage, input)
    if (step === 'ignored' || 'refuse' in step) return
    if ('stay' in step) {
      this.#run(step.stay, cause)
      return
    }
    this.#run(effectsOf(this.#stage).leave, cause)
    const isOver = 'close' in step
    this.#stage = isOver ? 'closed' : step.go
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
