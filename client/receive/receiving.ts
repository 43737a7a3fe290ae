import { EssError } from '../../shared/index.js'
import { type Exchange, isExchangeError } from '../http/exchange.js'
import { unlessAborted } from '../node/interrupted.js'
import { BodyOpener } from './body-opener.js'
import { firstAnswer } from './first-answer.js'
import { giveUp } from './give-up.js'
import { type GoOnHooks, goOn, isCut, isOurs, isUseless, watchDownload } from './go-on.js'
import {
  howItEnded,
  incomplete,
  isProven,
  type Offer,
  type OpenOffer,
  type ReceiveOptions,
  requestDownload,
} from './offer.js'
import { expectOpenOffer, opensByHead, told } from './open-offer.js'
import type { Begun, Place } from './place.js'
import { sealedSink } from './sealed-sink.js'
import { seeOff } from './see-off.js'
import type { Sink } from './sink.js'
import type { Wanted } from './wanted.js'
import { ended, flushed, lost, writeBlocks, writeChunks } from './write-blocks.js'

export interface ReceivingOptions extends ReceiveOptions, GoOnHooks {
  readonly onOffer?: (offer: Offer) => void
  readonly onProgress?: (bytes: number) => void
}

/** A download that is whole and in its place. */
export interface Received extends Offer {
  readonly bytes: number
  /**
   * The path of the file, or of the folder that a bundle was sent as; of the folder that it was unpacked into if it was sent
   * as several. Undefined for a stream.
   */
  readonly path: string | undefined
  /** The names of what was unpacked into that folder, without what is in them. Undefined for what is no bundle. */
  readonly names?: readonly string[]
}

/** One download on its way to its place, by as many requests as it takes. */
export class Receiving {
  readonly #url: URL
  readonly #wanted: Wanted
  readonly #place: Place
  readonly #options: ReceivingOptions
  /** Bytes of the body that are in their place. */
  readonly #written = { bytes: 0 }
  #answer: Exchange | undefined
  #sink: Sink | undefined
  #isAnnounced = false
  /** As far as the server knows. */
  #mayComeBack = true
  /** True once the server has ended its side of the connection in good order. */
  #isEnded = false

  constructor(wanted: Wanted, place: Place, options: ReceivingOptions) {
    this.#url = wanted.url
    this.#wanted = wanted
    this.#place = place
    this.#options = options
  }

  /**
   * Receives it all. If every byte is on the disk, but the file can't get its name, that is the `trouble`. Rejects with an
   * EssError for every other failure.
   */
  async run(): Promise<{ readonly received: Received; readonly trouble: EssError | undefined }> {
    const startedAt = performance.now()
    try {
      const { begun } = this.#place
      const { offer, sink, inside } = (begun && (await this.#goOnWith(begun))) ?? (await this.#beginAnew())
      // A pipe's reader may take its time, and for that long the user can still stop it.
      await unlessAborted(sink.ends ? ended(sink) : flushed(sink), this.#options.signal)
      this.#answer?.ignoreAbort()
      const trouble = await sink.commit()
      // The server takes this FIN to mean that the file is here, so nothing that can fail may come after it.
      this.#answer?.close()
      sink.writable.off('error', ignore)
      const ms = performance.now() - startedAt
      const whole = { url: this.#url, offer, bytes: this.#written.bytes, ms, isEnded: this.#isEnded }
      await seeOff(whole, this.#options)
      const bytes = inside(this.#written.bytes)
      const { path, names } = sink
      return { received: { ...told(offer), bytes, path, ...(names !== undefined && { names }) }, trouble }
    } catch (error) {
      this.#answer?.reset()
      if (this.#sink?.ends) abandon(this.#sink)
      // A cut alone would have the sender wait for us.
      if (this.#mayComeBack && isOurs(error)) await giveUp(this.#url, this.#options)
      throw error
    }
  }

  /** Receives what an earlier run lacks. Resolves with undefined if what it has left is of no use. */
  async #goOnWith({ offer, bytes }: Begun): Promise<Taking | undefined> {
    const taking = await this.#open(offer, bytes)
    const { from } = taking
    this.#written.bytes = from
    try {
      await this.#fetchRest(taking, undefined)
      return taking
    } catch (error) {
      if (!isUseless(error) || this.#written.bytes > from) throw error
      this.#written.bytes = 0
      this.#place.forget()
      return undefined
    }
  }

  async #beginAnew(): Promise<Taking> {
    const wanted = this.#wanted
    const ask = () => requestDownload('GET', this.#url, this.#options, opensByHead(wanted))
    const first = await firstAnswer(wanted, this.#options, ask, (answer) => expectOpenOffer(answer, wanted))
    const { answer, head: offer } = first
    this.#answer = answer
    const taking = await this.#open(offer, 0)
    const stopWatching = taking.offer.isResumable
      ? watchDownload(answer, { url: this.#url, written: this.#written }, this.#options)
      : () => {}
    const taken = this.#takeBody(answer, taking).finally(stopWatching)
    await taken.catch(async (error: unknown) => {
      if (!taking.offer.isResumable || !isCut(error)) throw error
      answer.reset()
      await this.#fetchRest(taking, error)
    })
    return taking
  }

  /** Opens the place for what comes behind the first `begun` bytes of the file. */
  async #open(offer: OpenOffer, begun: number): Promise<Taking> {
    this.#mayComeBack = offer.isResumable
    const place = await this.#place.open(offer)
    const opener = offer.seal && new BodyOpener(offer.seal, begun, place.path === undefined)
    const sink = offer.seal && opener ? sealedSink(place, opener, offer.seal) : place
    this.#sink = sink
    // The write that fails tells of it, also where the failure comes between two connections.
    sink.writable.on('error', ignore)
    if (!this.#isAnnounced) this.#options.onOffer?.(told(offer))
    this.#isAnnounced = true
    return {
      offer,
      sink,
      from: opener?.at ?? begun,
      inside: (bodyBytes) => opener?.inside(bodyBytes) ?? bodyBytes,
    }
  }

  async #fetchRest(taking: Taking, reason: EssError | undefined): Promise<void> {
    const { offer, sink, inside } = taking
    await goOn(
      {
        url: this.#url,
        offer,
        written: this.#written,
        inside,
        reason,
        isStream: sink.path === undefined,
        inBlocks: true,
      },
      this.#options,
      async (rest) => {
        this.#answer = rest
        await this.#takeBody(rest, taking)
      },
      (last) => this.#rest(taking, last),
    )
  }

  /** The words for a download that another run can go on with. */
  async #rest({ sink, offer, inside }: Taking, last: EssError): Promise<EssError> {
    const part = await sink.keep()
    if (part === undefined) return last
    const what =
      last.code === 'incomplete' ? howItEnded(inside(this.#written.bytes), offer.size) : last.message
    return new EssError(last.code, `${what} ${goOnLater(part)}`, { cause: last })
  }

  /**
   * Moves a body into the sink, at the sink's pace, behind the bytes that are there. Resolves when the server has nothing
   * more to say, and all of it is known to be whole.
   */
  async #takeBody(answer: Exchange, { sink, offer, inside }: Taking): Promise<void> {
    const { onProgress = () => {}, signal } = this.#options
    const written = this.#written
    const from = written.bytes
    const broken = (cause: EssError | undefined) =>
      incomplete(cause, inside(written.bytes), offer.size, sink.path === undefined)
    const count = (bytes: number) => {
      written.bytes += bytes
    }
    try {
      const blocks = answer.blocks((bytes) => onProgress(inside(from + bytes)))
      const writing =
        blocks === undefined
          ? writeChunks(answer.body, sink, (bytes) => {
              count(bytes)
              onProgress(inside(written.bytes))
            })
          : writeBlocks(blocks, sink, count, offer.isResumable)
      await unlessAborted(writing, signal)
    } catch (error) {
      if (!isExchangeError(error)) throw lost(sink.path, error)
      throw broken(answer.failure)
    }
    const { bodySize } = offer
    if (bodySize !== undefined && written.bytes !== bodySize) throw broken(undefined)
    this.#isEnded = await answer.lastWord()
    if (answer.failure !== undefined || !(await isProven(answer, written.bytes - from)))
      throw broken(answer.failure)
  }
}

/** What is received, and where it goes. */
interface Taking {
  readonly offer: OpenOffer
  readonly sink: Sink
  /** The offset in the body of the first byte to fetch. */
  readonly from: number
  /** How many bytes of the file are in the first bytes of the body. */
  readonly inside: (bodyBytes: number) => number
}

/** How to go on with the part of a download that may not be over. */
export function goOnLater(part: string): string {
  return `What came so far is in ${part}. To go on, type the same command again soon.`
}

/** Closes a sink whose bytes are of no use. A write that was under way fails, and means nothing. */
function abandon({ writable }: Sink): void {
  writable.destroy()
}

function ignore(): void {}
