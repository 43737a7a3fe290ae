import type { IncomingMessage } from 'node:http'
import type { EssError } from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import type { ResponsePort } from '../node/ports.js'
import type { Gear } from '../relay/gears/pump.js'
import {
  createTransfer,
  type SenderBody,
  type Transfer,
  type TransferEnd,
  type TransferOptions,
} from '../relay/transfer.js'
import { beginDownload, failDownload, type NamedFile } from './download-answer.js'

/** One receiver's response: the bytes that go into it, and how it ends. */
export class Delivery {
  readonly request: IncomingMessage
  readonly response: ResponsePort
  readonly #cors: Cors
  #transfer: Transfer | undefined
  /** Settled when a thread of the relay has let go of the receiver's connection. */
  #released: Promise<void> | undefined

  constructor(request: IncomingMessage, response: ResponsePort, cors: Cors) {
    this.request = request
    this.response = response
    this.#cors = cors
  }

  /** Bytes that the kernel has taken for the receiver. */
  get bytes(): number {
    return this.#transfer?.bytes() ?? 0
  }

  /** How the bytes are moved; undefined before `join`. */
  get gear(): Gear | undefined {
    return this.#transfer?.gear
  }

  /** Milliseconds from `join` to the first byte; undefined while none has moved. */
  get firstByteMs(): number | undefined {
    return this.#transfer?.firstByteMs()
  }

  /**
   * Joins a sender's body to this response. No byte moves before `start`. Again for another body, as long as none has
   * moved of the one before. Fulfilled with how the transfer ended; never rejected.
   */
  join(
    body: SenderBody,
    file: NamedFile,
    options: Omit<TransferOptions, 'total' | 'writeHead'>,
  ): Promise<TransferEnd> {
    // Not a byte has moved, so there is nothing to wait for.
    void this.#transfer?.stop()
    this.#transfer = createTransfer(body, this.response, {
      ...options,
      total: file.contentLength,
      writeHead: () => beginDownload(this, file, this.#cors),
    })
    return this.#transfer.ended
  }

  /** Begins to move bytes. */
  start(): void {
    this.#transfer?.start()
  }

  /** Stops moving bytes. */
  stop(): void {
    this.#released = this.#transfer?.stop()
  }

  /** Tells the receiver that its download failed. A reset reaches it only when nothing else has its connection open. */
  fail(error: EssError): void {
    const tell = () => failDownload(this, error, this.#cors)
    // It never rejects, and nothing else waits for it.
    if (this.#released !== undefined) void this.#released.then(tell)
    else tell()
  }
}
