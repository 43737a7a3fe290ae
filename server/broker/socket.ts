import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  DOWNLOAD_HEADERS,
  EssError,
  formatContentDisposition,
  formatDuration,
  type ProgressEvent,
  type StatusEvent,
  type TerminalEvent,
  toFailedProblem,
} from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import { beginResponse, fixed, withFixedHeaders } from '../answer/head.js'
import { sendProblem } from '../answer/problem-response.js'
import type { ProgressClock, Ticking } from '../answer/progress-clock.js'
import type { StatusSink } from '../answer/status-body.js'
import type { Entry } from '../node/entry.js'
import { resetConnection } from '../node/linger.js'
import { Occurrence } from '../node/occurrence.js'
import { RawBody } from '../relay/gears/raw-body.js'
import { announceLength } from '../relay/length-trailer.js'
import type { Relay } from '../relay/relay.js'
import { createTransfer, type SenderBody, type Transfer } from '../relay/transfer.js'
import { entityTag } from '../request/range.js'
import { takesResetForEnd } from '../request/undici.js'
import type { SocketInfo, SocketStats } from './events.js'
import { type Input, nextStep, type Outcome, type Phase } from './lifecycle.js'

/** What the sender said of its file. */
export interface Payload {
  readonly fileName: string | undefined
  /** Safe to serve from our origin. */
  readonly contentType: string
  /** Bytes; undefined when it is chunked. */
  readonly contentLength: number | undefined
}

/** The sender's half of a socket. */
export interface SenderLeg {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly payload: Payload
  readonly body: SenderBody
  /** How it is told what happens. */
  readonly status: StatusSink
}

/** The receiver's half. */
export interface ReceiverLeg {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** What is fixed when a socket is made. */
export interface SocketTerms {
  readonly id: string
  /** The secret of its upload resource; undefined where reservations are off. */
  readonly token: string | undefined
  readonly ttlMs: number
  /** Where its sender asked for more than the server allows. */
  readonly askedTtlMs?: number
  readonly maxUploadBytes: number
  readonly stallTimeoutMs: number
  readonly relay: Relay
  readonly cors: Cors
  readonly progress: ProgressClock
  /** Gives its client's share back; for whoever made it to call when it has ended. */
  readonly giveBack: () => void
}

/** Whom a socket tells of its life. */
export interface SocketObserver {
  connected(socket: EphemeralSocket, receiverRequest: IncomingMessage): void
  progress(socket: EphemeralSocket, bytes: number): void
  closed(socket: EphemeralSocket, stats: SocketStats): void
}

/** The same in the head of every download. */
const FIXED_HEADERS = fixed({ ...DOWNLOAD_HEADERS, 'Accept-Ranges': 'none' })

/** A file of which nothing is known yet. */
const UNKNOWN: Payload = {
  fileName: undefined,
  contentType: 'application/octet-stream',
  contentLength: undefined,
}

/** One pending transfer: its phase, and its legs. The only caller of the table in `lifecycle.ts`. */
export class EphemeralSocket implements SocketInfo, Ticking {
  readonly terms: SocketTerms
  readonly openedAt = Date.now()
  readonly #openedMs = performance.now()
  readonly #observer: SocketObserver
  /** All who are told: the sender by its own response, and whoever follows its upload resource's events. */
  readonly #audience = new Set<StatusSink>()
  readonly #senderCame = new Occurrence()
  readonly #ended = new Occurrence()
  #phase: Phase = 'reserved'
  #payload: Payload
  #sender: SenderLeg | undefined
  #receiver: ReceiverLeg | undefined
  #transfer: Transfer | undefined
  /** What the observer was told last. */
  #toldBytes = 0
  #ticking: Entry<Ticking> | undefined

  /** `fileName` is what the reservation says; the sender itself may say better. */
  constructor(terms: SocketTerms, observer: SocketObserver, fileName?: string) {
    this.terms = terms
    this.#observer = observer
    this.#payload = { ...UNKNOWN, fileName }
  }

  get id(): string {
    return this.terms.id
  }

  get phase(): Phase {
    return this.#phase
  }

  get fileName(): string | undefined {
    return this.#payload.fileName
  }

  get contentLength(): number | undefined {
    return this.#payload.contentLength
  }

  get ageMs(): number {
    return performance.now() - this.#openedMs
  }

  get expiresAt(): number {
    // By the clock as it is set now. Below a second it is no more than two clocks that are read one after the other.
    const setByMs = Date.now() - this.openedAt - this.ageMs
    return this.openedAt + this.terms.ttlMs + (Math.abs(setByMs) < 1000 ? 0 : Math.round(setByMs))
  }

  /** Settled when a reservation is over: its sender came, or it ended without one. */
  get senderCame(): Promise<void> {
    return this.#senderCame.promise
  }

  /** Settled when it has ended, however. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** The head of a download, the same for GET and HEAD. */
  downloadHeaders(request: IncomingMessage): Record<string, string | number> {
    const own = this.#ownFields()
    if (this.contentLength !== undefined) own['Content-Length'] = this.contentLength
    return withFixedHeaders(own, FIXED_HEADERS, this.terms.cors.headers(request))
  }

  #ownFields(): Record<string, string | number> {
    const { fileName, contentType } = this.#payload
    return {
      'Content-Type': contentType,
      'Content-Disposition': formatContentDisposition(fileName),
      ETag: entityTag(this.id),
    }
  }

  /** The event that says where it is now. */
  state(): StatusEvent {
    const secondsLeft = Math.max(0, Math.round((this.terms.ttlMs - this.ageMs) / 1000))
    if (this.#phase === 'reserved') return { event: 'reserved', secondsLeft }
    return this.#phase === 'waiting' ? { event: 'waiting', secondsLeft } : { event: 'connected' }
  }

  /** Throws the refusal that this input would meet, without being one. */
  inspect(input: 'sender-arrived' | 'receiver-arrived' = 'receiver-arrived'): void {
    const step = nextStep(this.#phase, input)
    if (typeof step === 'object' && 'refuse' in step) throw new EssError(step.refuse)
  }

  /** Takes the sender of a reservation, or of a new socket. Throws EssError `already-open` or `gone`. */
  admit(sender: SenderLeg): void {
    this.inspect('sender-arrived')
    this.#take(sender)
    this.#apply('sender-arrived')
  }

  /** True while a sender whose body never comes through may begin again by another request. */
  mayMove(): boolean {
    return this.#sender !== undefined && (this.#transfer?.isUntouched() ?? this.#phase === 'waiting')
  }

  /** The same sender begins again by another request: see `mayMove`. Throws EssError `already-open` or `gone`. */
  move(sender: SenderLeg): void {
    const isSame = sender.payload.contentLength === this.contentLength
    if (!this.mayMove() || !isSame) throw new EssError('already-open')
    const left = this.#sender
    if (left?.body instanceof RawBody) left.body.release()
    this.#take({ ...sender, payload: this.#payload })
    left?.response.off('close', this.#senderClosed)
    if (left !== undefined) this.forget(left.status)
    this.#apply('sender-moved')
  }

  /** Takes a receiver, and the bytes begin to move. Throws EssError `busy` or `gone`. */
  receive(receiver: ReceiverLeg): void {
    this.inspect('receiver-arrived')
    this.#receiver = receiver
    this.#apply('receiver-arrived')
  }

  /** Tells `sink` whatever happens from now on. */
  tell(sink: StatusSink): void {
    this.#audience.add(sink)
    if (this.#phase === 'streaming' && this.#transfer !== undefined)
      follow(sink, this.#progressOf(this.#transfer))
  }

  /** `sink` is told no more, and ends. */
  forget(sink: StatusSink): void {
    this.#audience.delete(sink)
    sink.release()
  }

  /** The TTL is over: the registry's to say. */
  expire(): void {
    const waited = formatDuration(this.terms.ttlMs / 1000)
    this.#apply('expired', `nobody came within ${waited}`)
  }

  /** The sender, or the embedder, wants it no more. */
  cancel(detail = 'the sender cancelled it'): void {
    this.#apply('cancelled', detail)
  }

  /** The server stops. */
  shutDown(): void {
    this.#apply('shutting-down', 'the server is stopping')
  }

  /**
   * The body of `request` cannot be read any further as HTTP or as a form, or was ended before it was whole.
   * Without effect when its sender has begun again by another one.
   */
  breakOff(
    request: IncomingMessage,
    input: 'bad-request' | 'sender-lost' | 'no-file-in-form',
    detail: string,
  ): void {
    if (this.#sender?.request === request) this.#apply(input, detail)
  }

  /**
   * The sender of `request` has sent its whole body and closed its half. If it is gone altogether, its kernel answers the
   * next word with a reset; where no word may be said, a sender that waits is taken to have left.
   */
  senderClosedItsHalf(request: IncomingMessage): void {
    if (this.#sender?.request !== request || this.#phase !== 'waiting') return
    if (!this.#sender.status.probe()) {
      this.#apply('sender-lost', 'the sender closed its half of the connection while it waited')
    }
  }

  /** True when the whole body of `request` was read below Node's parser, which takes it for incomplete. */
  hasAllOf(request: IncomingMessage): boolean {
    const { request: own, body } = this.#sender ?? {}
    return own === request && body instanceof RawBody && body.isWhole
  }

  #take(sender: SenderLeg): void {
    this.#sender = sender
    this.#payload = { ...sender.payload, fileName: sender.payload.fileName ?? this.#payload.fileName }
    this.#audience.add(sender.status)
    // Until bytes move, this listener notices a sender that goes away.
    sender.response.once('close', this.#senderClosed)
  }

  /** Every change of phase. `detail` says to both sides why it failed. */
  #apply(input: Input, detail?: string, confirmed = false): void {
    const step = nextStep(this.#phase, input)
    if (step === 'ignored' || 'refuse' in step) return
    if ('close' in step) {
      this.#phase = 'closed'
      this.#close(step.close, detail, confirmed)
      return
    }
    const was = this.#phase
    this.#phase = step.go
    if (was === 'reserved') this.#announceSender()
    if (step.go === 'streaming') this.#stream()
  }

  #announceSender(): void {
    // The sender's own stream has said so by its first line.
    for (const sink of this.#audience) if (sink !== this.#sender?.status) sink.send(this.state())
    this.#senderCame.happen()
  }

  #stream(): void {
    const sender = this.#sender
    const receiver = this.#receiver
    if (sender === undefined || receiver === undefined) return
    // Not a byte has moved, so nothing has to be waited for.
    void this.#transfer?.stop()
    const transfer = createTransfer(sender.body, receiver.response, {
      total: this.contentLength,
      maxUploadBytes: this.terms.maxUploadBytes,
      stallTimeoutMs: this.terms.stallTimeoutMs,
      relay: this.terms.relay,
      writeHead: () => {
        // It may be out already, when the sender has begun again.
        if (receiver.response.headersSent) return
        announceLength(receiver.request, receiver.response, this.contentLength)
        // A download ends with its connection.
        const closes =
          this.contentLength === undefined && takesResetForEnd(receiver.request) ? 'unsaid' : true
        const body = { framing: this.contentLength ?? ('chunked' as const), closes } as const
        const others = [FIXED_HEADERS, this.terms.cors.headers(receiver.request)] as const
        beginResponse(receiver.response, 200, this.#ownFields(), others, body)
      },
    })
    const isFirst = this.#transfer === undefined
    this.#transfer = transfer
    // It never rejects, and nobody else waits for it.
    void transfer.ended.then((end) => {
      if (end.input === 'delivered') this.#apply('delivered', undefined, end.confirmed)
      else this.#apply(end.input, end.detail)
    })
    // From here the transfer notices: a sender that leaves after its last byte is none of the receiver's loss.
    sender.response.off('close', this.#senderClosed)
    if (isFirst) this.#observer.connected(this, receiver.request)
    const isAllHere = sender.request.complete
    const connection = sender.request.socket
    // With all of the body here Node reads on, and soon notices who left; what it knows already, we are told later in
    // this turn.
    const isThere = isAllHere ? !connection.destroyed : this.terms.relay.isSenderThere(connection)
    if (isThere) this.#startAtOnce(transfer, isFirst, isAllHere)
    else this.#startWhenProbed(transfer, isFirst)
  }

  #startAtOnce(transfer: Transfer, isFirst: boolean, isAllHere: boolean): void {
    // What is all here is as good as over: its verdict will be there as soon as the news.
    if (isAllHere) this.#announce(transfer, isFirst, isAllHere)
    transfer.start()
    // The first bytes come before the news of them.
    if (!isAllHere && this.#phase === 'streaming') this.#announce(transfer, isFirst, isAllHere)
  }

  #announce(transfer: Transfer, isFirst: boolean, isAllHere: boolean): void {
    const progress = this.#progressOf(transfer)
    for (const sink of this.#audience) {
      if (isFirst) sink.send({ event: 'connected' }, true)
      if (isAllHere) sink.follow(progress)
      else follow(sink, progress)
    }
    this.#ticking ??= this.terms.progress.start(this)
  }

  /**
   * A paused sender that died, behind bytes that fill our window or where the kernel cannot be asked, is noticed only
   * by writing to it: the first write made its kernel answer with a reset, the second one, a turn later, meets it.
   * Both come before the first byte goes to the receiver.
   */
  #startWhenProbed(transfer: Transfer, isFirst: boolean): void {
    if (isFirst) for (const sink of this.#audience) sink.send({ event: 'connected' })
    setImmediate(() => {
      if (this.#phase !== 'streaming' || transfer !== this.#transfer) return
      for (const sink of this.#audience) follow(sink, this.#progressOf(transfer))
      this.#ticking ??= this.terms.progress.start(this)
      setImmediate(() => transfer.start())
    })
  }

  #progressOf(transfer: Transfer): () => ProgressEvent {
    const total = this.contentLength
    return () => ({ event: 'progress', bytes: transfer.bytes(), ...(total !== undefined && { total }) })
  }

  tick(): void {
    const bytes = this.#transfer?.bytes() ?? 0
    if (bytes !== this.#toldBytes) this.#observer.progress(this, bytes)
    this.#toldBytes = bytes
  }

  /** The single place that ends both legs, however it came to that. */
  #close(outcome: Outcome, detail: string | undefined, confirmed: boolean): void {
    this.terms.progress.stop(this.#ticking)
    this.#sender?.response.off('close', this.#senderClosed)
    const bytes = this.#transfer?.bytes() ?? 0
    const error = outcome === 'delivered' ? undefined : new EssError(outcome, detail)
    if (error !== undefined) {
      // A reset reaches the receiver only when nobody else has its connection open.
      const failReceiver = () => this.#failReceiver(error)
      const released = this.#transfer?.stop()
      // It never rejects, and nobody else waits for it.
      if (released !== undefined) void released.then(failReceiver)
      else failReceiver()
    }
    // Whatever is left of it must not hold up the sender's reading of the verdict.
    if (this.#sender?.body instanceof RawBody) this.#sender.body.release()
    const verdict: TerminalEvent =
      error === undefined
        ? { event: 'delivered', bytes, confirmed }
        : { event: 'failed', problem: toFailedProblem(error), bytes }
    for (const sink of this.#audience) sink.conclude(verdict)
    this.#audience.clear()
    this.#senderCame.happen()
    this.#ended.happen()
    const gear = this.#transfer?.gear
    const firstByteMs = this.#transfer?.firstByteMs()
    const durationMs = Math.round(this.ageMs)
    this.#observer.closed(this, { outcome, error, bytes, confirmed, durationMs, gear, firstByteMs })
  }

  /** Once the 200 is out, only a reset tells a receiver that what it has is not the whole (protocol, chapter 4). */
  #failReceiver(error: EssError): void {
    if (this.#receiver === undefined) return
    const { request, response } = this.#receiver
    if (response.headersSent) resetConnection(request.socket)
    else if (!request.socket.destroyed)
      sendProblem(request, response, this.terms.cors, asSeenByReceiver(error))
  }

  readonly #senderClosed = (): void => {
    this.#apply('sender-lost', 'the sender disconnected')
  }
}

/** Tells `sink` how far it is, now and whenever that has changed. */
function follow(sink: StatusSink, progress: () => ProgressEvent): void {
  sink.send(progress())
  sink.follow(progress)
}

/** What was wrong with the sender's request is no fault of the receiver's. */
function asSeenByReceiver(error: EssError): EssError {
  const isSendersFault = ['too-large', 'bad-request', 'no-file-in-form'].includes(error.code)
  return isSendersFault ? new EssError('sender-lost', `the sender was refused: ${error.message}`) : error
}

/** What a receiver that comes after the end is told. */
export function goneBecause(outcome: Outcome): EssError {
  const words: Partial<Record<Outcome, string>> = {
    delivered: 'this link worked once and has been used',
    expired: 'nobody came in time, and this link is no longer valid',
    cancelled: 'the sender cancelled it',
  }
  return new EssError('gone', words[outcome] ?? `this transfer failed: ${outcome}`)
}
