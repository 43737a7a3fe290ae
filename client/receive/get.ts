import { Readable } from 'node:stream'
import { checkOptionNames } from '../../shared/option-names.js'
import type { Exchange } from '../http/exchange.js'
import { nearestName } from '../http/nearest-name.js'
import { interrupted } from '../node/interrupted.js'
import {
  downloadUrl,
  expectOffer,
  incomplete,
  isProven,
  type Offer,
  RECEIVE_OPTIONS,
  type ReceiveOptions,
  requestDownload,
} from './offer.js'

export type GetOptions = ReceiveOptions

/**
 * The bytes of a download, at the reader's pace. The sender is told "delivered" when you have read them to the end.
 * If you destroy the stream before that, the sender is told that the receiver went away. A cut destroys the stream
 * with an EssError, so its end always means a whole file.
 */
export interface Download extends Readable, Offer {}

/**
 * Receives what is sent under an id, or at a whole download URL, as a stream. It writes nothing to the disk;
 * `download` does. Resolves when the sender's first byte is there, or the end of an empty file. Rejects with an
 * EssError. Read the stream or destroy it: until you do, the sender waits.
 */
export async function get(idOrUrl: string, options: GetOptions = {}): Promise<Download> {
  checkOptionNames('get', options, RECEIVE_OPTIONS, nearestName)
  const url = downloadUrl(idOrUrl, options)
  const answer = requestDownload('GET', url, options)
  try {
    return new DownloadStream(answer, await expectOffer(answer, url), options.signal)
  } catch (error) {
    answer.reset()
    throw error
  }
}

class DownloadStream extends Readable implements Download {
  readonly id: string
  readonly name: string
  readonly size: number | undefined
  readonly type: string
  readonly #answer: Exchange
  readonly #signal: AbortSignal | undefined
  #bytes = 0

  constructor(answer: Exchange, offer: Offer, signal: AbortSignal | undefined) {
    super()
    this.id = offer.id
    this.name = offer.name
    this.size = offer.size
    this.type = offer.type
    this.#answer = answer
    this.#signal = signal
    // Pause first, because a listener for data would start the flow.
    answer.body.pause()
    answer.body
      .on('data', this.#take)
      .once('end', () => void this.#finish())
      .once('error', this.#cut)
      .once('close', this.#cut)
    // The body may have ended while our reader is still busy with it.
    signal?.addEventListener('abort', this.#interrupt, { once: true })
    // It may have broken after its head.
    if (answer.failure !== undefined) this.#cut()
  }

  override _read(): void {
    this.#answer.body.resume()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#signal?.removeEventListener('abort', this.#interrupt)
    this.#answer.body.off('data', this.#take)
    // A FIN means that the reader has every byte.
    if (error === null && this.readableEnded) this.#answer.close()
    else this.#answer.reset()
    callback(error)
  }

  readonly #take = (chunk: Buffer): void => {
    this.#bytes += chunk.length
    if (!this.push(chunk)) this.#answer.body.pause()
  }

  async #finish(): Promise<void> {
    this.#answer.body.off('close', this.#cut)
    // Surplus bytes would come now.
    await this.#answer.lastWord()
    const isWhole =
      (this.size === undefined || this.#bytes === this.size) && (await isProven(this.#answer, this.#bytes))
    if (this.#answer.failure !== undefined || !isWhole) this.#cut()
    else this.push(null)
  }

  readonly #cut = (): void => {
    this.destroy(incomplete(this.#answer.failure, this.#bytes, this.size, true))
  }

  readonly #interrupt = (): void => {
    this.destroy(interrupted())
  }
}
