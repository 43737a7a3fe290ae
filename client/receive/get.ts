import { Readable } from 'node:stream'
import { EssError } from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import type { Exchange } from '../http/exchange.js'
import { nearestName } from '../http/nearest-name.js'
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
 * The bytes of a download, at the pace of whoever reads them. The sender is told "delivered" when they were
 * read to their end; a stream that is destroyed before that is a receiver that went away. A cut ends it with
 * an EssError, so that its end always means a whole file.
 */
export interface Download extends Readable, Offer {}

/**
 * Receives what is sent under an id, or at a whole download URL, as a stream; nothing is written anywhere (see
 * `download` for that). Resolves when the sender's first byte, or the end of an empty file, is there. Rejects
 * with an EssError. Read it or destroy it: as long as neither happens, the sender waits.
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
    // First, because a listener for data would make it flow.
    answer.body.pause()
    answer.body
      .on('data', this.#take)
      .once('end', () => void this.#finish())
      .once('error', this.#cut)
      .once('close', this.#cut)
    // The body may be over by then, and only our own reader still at it.
    signal?.addEventListener('abort', this.#interrupt, { once: true })
    // It may have broken between its head and now.
    if (answer.failure !== undefined) this.#cut()
  }

  override _read(): void {
    this.#answer.body.resume()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#signal?.removeEventListener('abort', this.#interrupt)
    this.#answer.body.off('data', this.#take)
    // Only who has read it all may say so by a FIN.
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
    // More bytes than were promised would come now.
    await this.#answer.lastWord()
    const isWhole =
      (this.size === undefined || this.#bytes === this.size) && (await isProven(this.#answer, this.#bytes))
    if (this.#answer.failure !== undefined || !isWhole) this.#cut()
    else this.push(null)
  }

  readonly #cut = (): void => {
    this.destroy(incomplete(this.#answer.failure, this.#bytes, this.size))
  }

  readonly #interrupt = (): void => {
    this.destroy(new EssError('interrupted', 'Stopped before the transfer was complete'))
  }
}
