import type { IncomingMessage } from 'node:http'
import type { EssError } from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import { resetConnection } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import type { Gear } from '../relay/gears/pump.js'
import {
  createTransfer,
  type Part,
  type Transfer,
  type TransferEnd,
  type TransferOptions,
} from '../relay/transfer.js'
import { beginDownload, failDownload, type NamedFile } from './download-answer.js'

/** One receiver's response: the bytes that go into it, and how it ends. */
export class Delivery {
  readonly request: IncomingMessage
  readonly response: ResponsePort
  /** The offset of its first byte in the sender's sequence. */
  readonly from: number
  readonly #cors: Cors
  #transfer: Transfer | undefined
  /** Settled when a thread of the relay has let go of the receiver's connection. */
  #released: Promise<void> | undefined

  constructor(request: IncomingMessage, response: ResponsePort, cors: Cors, from = 0) {
    this.request = request
    this.response = response
    this.#cors = cors
    this.from = from
  }

  /** The offset behind the last byte that the kernel has taken for the receiver. */
  get position(): number {
    return this.#transfer?.position() ?? this.from
  }

  /** The offset at which the sender's next segment has to begin. */
  get given(): number {
    return this.#transfer?.given() ?? this.from
  }

  /** How the bytes of the last segment were moved; undefined before `join`. */
  get gear(): Gear | undefined {
    return this.#transfer?.gear()
  }

  /** Milliseconds from `open` to the first byte; undefined while none has moved. */
  get firstByteMs(): number | undefined {
    return this.#transfer?.firstByteMs()
  }

  /** Watches the receiver from now on. Call it once. Fulfilled with how the transfer ended; never rejected. */
  open(file: NamedFile, options: TransferOptions): Promise<TransferEnd> {
    const writeHead = () => beginDownload(this, file, this.#cors)
    this.#transfer = createTransfer(
      this.response,
      { from: this.from, total: file.contentLength, writeHead },
      options,
    )
    return this.#transfer.ended
  }

  /** Joins a segment to this response, behind the one before. No byte of it moves before `start`. */
  join(part: Part): void {
    this.#transfer?.join(part)
  }

  /** See `Transfer.confirm`. */
  confirm(offset: number): boolean {
    return this.#transfer?.confirm(offset) ?? false
  }

  /** See `Transfer.isEnding`. */
  get isEnding(): boolean {
    return this.#transfer?.isEnding() ?? false
  }

  /** See `Transfer.isUnsaid`. */
  get isUnsaid(): boolean {
    return this.#transfer?.isUnsaid() ?? false
  }

  /** The sender is lost, though its connection may not say so yet. Settled when no more of its bytes can come. */
  loseSender(detail: string): Promise<void> {
    return this.#transfer?.loseSender(detail) ?? Promise.resolve()
  }

  /** Begins to move bytes. */
  start(): void {
    this.#transfer?.start()
  }

  /** Stops moving bytes. Returns a promise if that takes a while; until then some may still move. */
  stop(): Promise<void> | undefined {
    this.#released = this.#transfer?.stop()
    return this.#released
  }

  /** Ends this response without a word: the receiver has left, or has another one. It can't pass for a whole file. */
  drop(): void {
    const reset = () => resetConnection(this.request.socket)
    const released = this.#transfer?.stop()
    // It never rejects, and nothing else waits for it.
    if (released !== undefined) void released.then(reset)
    else reset()
  }

  /** Tells the receiver that its download failed. A reset reaches it only when nothing else has its connection open. */
  fail(error: EssError): void {
    const tell = () => failDownload(this, error, this.#cors)
    // It never rejects, and nothing else waits for it.
    if (this.#released !== undefined) void this.#released.then(tell)
    else tell()
  }
}
