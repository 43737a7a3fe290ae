import { Readable } from 'node:stream'
import type { BundleNote } from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import type { Exchange } from '../http/exchange.js'
import { nearestName } from '../http/nearest-name.js'
import { interrupted } from '../node/interrupted.js'
import { BodyOpener } from './body-opener.js'
import { firstAnswer } from './first-answer.js'
import { giveUp } from './give-up.js'
import { type GoOnHooks, goOn, isCut, isOurs, isOver } from './go-on.js'
import { LookAhead } from './look-ahead.js'
import {
  incomplete,
  isProven,
  type Offer,
  type OpenOffer,
  RECEIVE_OPTIONS,
  type ReceiveOptions,
  requestDownload,
} from './offer.js'
import { expectOpenOffer } from './open-offer.js'
import { seeOff } from './see-off.js'
import { type Wanted, wantedOf } from './wanted.js'

export interface GetOptions extends ReceiveOptions, GoOnHooks {}

const GET_OPTIONS = {
  ...RECEIVE_OPTIONS,
  onInterrupted: true,
  onResumed: true,
} as const satisfies Record<keyof GetOptions, true>

/**
 * The bytes of a download, at the reader's pace. After a cut it goes on by itself, for three minutes. The sender is told
 * "delivered" when you have read them to the end. If you destroy the stream before that, the sender is told that the
 * receiver went away. A failure destroys the stream with an EssError, so its end always means a whole file.
 */
export interface Download extends Readable, Offer {}

/**
 * Receives what is sent under an id, or at a whole download URL, as a stream. It writes nothing to the disk;
 * `download` does. Resolves when the sender's first byte is there, or the end of an empty file. Rejects with an
 * EssError. Read the stream or destroy it: until you do, the sender waits.
 *
 * A sealed download is opened as it comes, as `download` does it: every byte that you read is authentic, and the end means
 * that you have all of them.
 */
export async function get(idOrUrl: string, options: GetOptions = {}): Promise<Download> {
  checkOptionNames('get', options, GET_OPTIONS, nearestName)
  const ahead = new LookAhead(wantedOf(idOrUrl, options), options)
  // A sealed download needs a key, and the link works once.
  await ahead.offer()
  const { wanted } = ahead
  const ask = () => requestDownload('GET', wanted.url, options)
  try {
    const first = await firstAnswer(wanted, options, ask, (answer) => expectOpenOffer(answer, wanted))
    return new DownloadStream(wanted, first.answer, first.head, options)
  } catch (error) {
    // A cut alone would have the sender wait for us.
    if (isOurs(error)) await giveUp(wanted.url, options)
    throw error
  }
}

const READ_AS_STREAM = { isStream: true, inBlocks: false } as const

class DownloadStream extends Readable implements Download {
  readonly id: string
  readonly name: string
  readonly size: number | undefined
  readonly type: string
  readonly bundle: BundleNote | undefined
  readonly isSealed?: boolean
  readonly #url: URL
  readonly #offer: OpenOffer
  readonly #options: GetOptions
  readonly #startedAt = performance.now()
  /** Ends every wait when the reader has left. */
  readonly #left = new AbortController()
  /** Bytes of the body that were handed on, or opened. */
  readonly #written = { bytes: 0 }
  /** Undefined unless the body is sealed. */
  readonly #opener: BodyOpener | undefined
  #answer: Exchange
  /** True while the reader has room. */
  #isWanted = false
  /** True once the server knows that the transfer is over. */
  #isOver = false
  /** True once the server has ended its side of the connection in good order. */
  #isEnded = false

  constructor({ url }: Wanted, answer: Exchange, offer: OpenOffer, options: GetOptions) {
    super()
    this.id = offer.id
    this.name = offer.name
    this.size = offer.size
    this.type = offer.type
    this.bundle = offer.bundle
    if (offer.isSealed !== undefined) this.isSealed = offer.isSealed
    this.#url = url
    this.#answer = answer
    this.#offer = offer
    this.#opener = offer.seal && new BodyOpener(offer.seal, 0, true)
    this.#options = options
    // The body may have ended while our reader is still busy with it.
    options.signal?.addEventListener('abort', this.#interrupt, { once: true })
    this.#run(answer).then(
      () => this.push(null),
      (error: unknown) => {
        this.#isOver ||= isOver(error instanceof Error ? error.cause : undefined)
        this.destroy(error instanceof Error ? error : new Error(String(error)))
      },
    )
  }

  override _read(): void {
    this.#isWanted = true
    this.#answer.body.resume()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#options.signal?.removeEventListener('abort', this.#interrupt)
    // A FIN means that the reader has every byte.
    if (error === null && this.readableEnded) {
      this.#answer.close()
      const ms = performance.now() - this.#startedAt
      const isEnded = this.#isEnded
      const whole = { url: this.#url, offer: this.#offer, bytes: this.#written.bytes, ms, isEnded }
      void seeOff(whole, this.#options).then(() => callback(null)) // It never rejects.
      return
    }
    this.#left.abort()
    this.#answer.reset()
    // A cut alone would have the sender wait for us.
    const told = this.#offer.isResumable && !this.#isOver ? giveUp(this.#url, this.#options) : undefined
    void Promise.resolve(told).then(() => callback(error))
  }

  async #run(first: Exchange): Promise<void> {
    try {
      await this.#take(first)
    } catch (error) {
      if (!this.#offer.isResumable || !isCut(error) || this.destroyed) throw error
      first.reset()
      const broken = {
        ...READ_AS_STREAM,
        url: this.#url,
        offer: this.#offer,
        written: this.#written,
        inside: (bodyBytes: number) => this.#inside(bodyBytes),
        reason: error,
      }
      await goOn(
        broken,
        { ...this.#options, signal: this.#left.signal },
        (rest) => this.#take(rest),
        async (reason) => reason,
      )
    }
  }

  /** Hands on a body. Resolves when it has ended, and all of it is known to be whole. */
  async #take(answer: Exchange): Promise<void> {
    this.#answer = answer
    const from = this.#written.bytes
    const { body } = answer
    const broken = () => incomplete(answer.failure, this.#inside(this.#written.bytes), this.size, true)
    let fail: (error: unknown) => void = () => {}
    const onData = (chunk: Buffer) => {
      this.#written.bytes += chunk.length
      try {
        this.#handOn(this.#opener?.push(chunk) ?? [chunk])
      } catch (error) {
        fail(error)
      }
      if (!this.#isWanted) body.pause()
    }
    // Pause first, because a listener for data would start the flow.
    body.pause()
    try {
      await new Promise<void>((resolve, reject) => {
        fail = reject
        const cut = () => reject(broken())
        body.on('data', onData).once('end', resolve).once('error', cut).once('close', cut)
        // It may have broken after its head.
        if (answer.failure !== undefined) cut()
        // The reader may have asked for more while there was no connection.
        else if (this.#isWanted) body.resume()
      })
    } finally {
      body.off('data', onData)
    }
    // Surplus bytes would come now.
    this.#isEnded = await answer.lastWord()
    const { bytes } = this.#written
    const { bodySize } = this.#offer
    const isWhole = (bodySize === undefined || bytes === bodySize) && (await isProven(answer, bytes - from))
    if (answer.failure !== undefined || !isWhole) throw broken()
    this.#handOn(this.#opener?.end() ?? [])
  }

  #handOn(pieces: Iterable<Buffer>): void {
    for (const piece of pieces) this.#isWanted = this.push(piece)
  }

  #inside(bodyBytes: number): number {
    return this.#opener?.inside(bodyBytes) ?? bodyBytes
  }

  readonly #interrupt = (): void => {
    this.destroy(interrupted())
  }
}
