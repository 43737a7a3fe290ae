import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  CORS_HEADERS,
  DOWNLOAD_HEADERS,
  EssError,
  formatContentDisposition,
  formatDuration,
  toFailedProblem,
} from '../shared/index.js'
import type { SocketInfo, SocketStats } from './events.js'
import { type Input, nextStep, type Outcome, type Phase } from './lifecycle.js'
import { resetConnection } from './linger.js'
import { sendProblem } from './problem-response.js'
import type { StatusBody } from './status-body.js'
import { createTransfer, type Transfer } from './transfer.js'

/** What the sender said of its body. */
export interface Payload {
  readonly fileName: string | undefined
  /** Safe to serve from our origin. */
  readonly contentType: string
  /** Bytes; undefined when the body is chunked. */
  readonly contentLength: number | undefined
}

/** The sender's half of a socket. */
export interface SenderLeg {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly status: StatusBody
}

/** The receiver's half. */
export interface ReceiverLeg {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** The limits one socket lives under. */
export interface SocketLimits {
  readonly ttlMs: number
  readonly maxUploadBytes: number
  readonly stallTimeoutMs: number
}

/** Whom a socket tells of its life. */
export interface SocketObserver {
  connected(socket: EphemeralSocket): void
  closed(socket: EphemeralSocket, stats: SocketStats): void
}

/** One pending transfer: its phase, and its legs. The only caller of the table in `lifecycle.ts`. */
export class EphemeralSocket implements SocketInfo {
  readonly id: string
  readonly payload: Payload
  readonly limits: SocketLimits
  readonly openedAt = Date.now()
  readonly #sender: SenderLeg
  readonly #observer: SocketObserver
  #receiver: ReceiverLeg | undefined
  #transfer: Transfer | undefined
  #phase: Phase = 'waiting'

  constructor(
    id: string,
    payload: Payload,
    sender: SenderLeg,
    limits: SocketLimits,
    observer: SocketObserver,
  ) {
    this.id = id
    this.payload = payload
    this.limits = limits
    this.#sender = sender
    this.#observer = observer
    // From here until the end this listener notices a sender that goes away while it waits.
    sender.response.once('close', this.#senderClosed)
  }

  get phase(): Phase {
    return this.#phase
  }

  get fileName(): string | undefined {
    return this.payload.fileName
  }

  get contentLength(): number | undefined {
    return this.payload.contentLength
  }

  /** The head of a download, the same for GET and HEAD. */
  downloadHeaders(): Record<string, string | number> {
    const { fileName, contentType, contentLength } = this.payload
    return {
      ...CORS_HEADERS,
      ...DOWNLOAD_HEADERS,
      'Content-Type': contentType,
      ...(contentLength !== undefined && { 'Content-Length': contentLength }),
      'Content-Disposition': formatContentDisposition(fileName),
      ETag: `"${this.id}"`,
      'Accept-Ranges': 'none',
    }
  }

  /** Throws the refusal a receiver would meet, without being one. */
  inspect(): void {
    this.#refusal(nextStep(this.#phase, 'receiver-arrived'))
  }

  /** Takes a receiver, and the bytes begin to move. Throws EssError `busy` or `gone`. */
  receive(receiver: ReceiverLeg): void {
    this.#refusal(nextStep(this.#phase, 'receiver-arrived'))
    this.#receiver = receiver
    this.#apply('receiver-arrived')
  }

  /** The TTL is over: the registry's to say. */
  expire(): void {
    this.#apply(
      'expired',
      new EssError('expired', `nobody came within ${formatDuration(this.limits.ttlMs / 1000)}`),
    )
  }

  /** The server stops. */
  shutDown(): void {
    this.#apply('shutting-down', new EssError('shutting-down', 'the server is stopping'))
  }

  /** The sender's body cannot be read any further as HTTP, or was ended before it was whole. */
  breakOff(input: 'bad-request' | 'sender-lost', detail: string): void {
    this.#apply(input, new EssError(input, detail))
  }

  #refusal(step: ReturnType<typeof nextStep>): void {
    if (typeof step === 'object' && 'refuse' in step) throw new EssError(step.refuse)
  }

  /** Every change of phase. */
  #apply(input: Input, error?: EssError, confirmed = false): void {
    const step = nextStep(this.#phase, input)
    if (step === 'ignored' || 'refuse' in step) return
    if ('go' in step) {
      this.#phase = step.go
      this.#stream()
    } else {
      this.#phase = 'closed'
      this.#close(step.close, error, confirmed)
    }
  }

  #stream(): void {
    const receiver = this.#receiver
    if (receiver === undefined) return
    const total = this.payload.contentLength
    const transfer = createTransfer(this.#sender.request, receiver.response, {
      total,
      maxUploadBytes: this.limits.maxUploadBytes,
      stallTimeoutMs: this.limits.stallTimeoutMs,
      writeHead: () => {
        receiver.response.writeHead(200, { ...this.downloadHeaders(), Connection: 'close' })
        receiver.response.flushHeaders()
      },
    })
    this.#transfer = transfer
    // It never rejects, and nobody else waits for it.
    void transfer.ended.then((end) => {
      if (end.input === 'delivered') this.#apply('delivered', undefined, end.confirmed)
      else this.#apply(end.input, new EssError(end.input, end.detail))
    })
    // From here the transfer notices: a sender that leaves after its last byte is none of the receiver's loss.
    this.#sender.response.off('close', this.#senderClosed)
    this.#observer.connected(this)
    // A paused sender that died is noticed only by writing to it: the first write makes its kernel answer with
    // a reset, the second one, a turn later, meets it. Both come before the first byte goes to the receiver.
    this.#sender.status.connected()
    setImmediate(() => {
      if (this.#phase !== 'streaming') return
      this.#sender.status.follow(() => ({
        event: 'progress',
        bytes: transfer.bytes(),
        ...(total !== undefined && { total }),
      }))
      setImmediate(() => transfer.start())
    })
  }

  /** The single place that ends both legs, however it came to that. */
  #close(outcome: Outcome, error: EssError | undefined, confirmed: boolean): void {
    this.#sender.response.off('close', this.#senderClosed)
    const bytes = this.#transfer?.bytes() ?? 0
    if (error === undefined) {
      this.#sender.status.conclude({ event: 'delivered', bytes, confirmed })
    } else {
      this.#transfer?.stop()
      this.#failReceiver(error)
      this.#sender.status.conclude({ event: 'failed', problem: toFailedProblem(error), bytes })
    }
    this.#observer.closed(this, { outcome, error, bytes, confirmed, durationMs: Date.now() - this.openedAt })
  }

  /** Once the 200 is out, only a reset tells a receiver that what it has is not the whole (protocol, chapter 4). */
  #failReceiver(error: EssError): void {
    if (this.#receiver === undefined) return
    const { request, response } = this.#receiver
    if (response.headersSent) resetConnection(request.socket)
    else if (!request.socket.destroyed) sendProblem(request, response, asSeenByReceiver(error))
  }

  readonly #senderClosed = (): void => {
    this.#apply('sender-lost', new EssError('sender-lost', 'the sender disconnected'))
  }
}

/** What was wrong with the sender's request is no fault of the receiver's. */
function asSeenByReceiver(error: EssError): EssError {
  const isSendersFault = error.code === 'too-large' || error.code === 'bad-request'
  return isSendersFault ? new EssError('sender-lost', `the sender was refused: ${error.message}`) : error
}

/** What a receiver that comes after the end is told. */
export function goneBecause(outcome: Outcome): EssError {
  const words: Readonly<Record<'delivered' | 'expired', string>> = {
    delivered: 'this link worked once and has been used',
    expired: 'nobody came in time, and this link is no longer valid',
  }
  const detail =
    outcome === 'delivered' || outcome === 'expired' ? words[outcome] : `this transfer failed: ${outcome}`
  return new EssError('gone', detail)
}
