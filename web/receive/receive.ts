import { EssError } from '../../shared/index.js'
import { type Seal, SealedOpener, sizeInside } from '../seal/open-body.js'
import { nextTurn } from '../seal/turns.js'
import { Batches } from './batches.js'
import { download, UNHEARD } from './download.js'
import { confirm, giveUp, type Head, type Link } from './link.js'
import { expectSame, type Offer, openBegin } from './offer.js'
import { type Opener, PLAIN } from './opener.js'
import type { Done, Sink, Way } from './save/sink.js'
import { unlessStopped } from './unless-stopped.js'

/** A disk that takes nothing for so long is worth a word. */
const SLOW_DISK_MS = 10_000
/** How long a disk may take to let go of what it has, before the person is told that it is over. */
const ABORT_MS = 5_000
/** Some 5 ms of work, after which the page may paint, and answer the person. */
const PIECES_A_TURN = 8

/** What a person sees of it. */
export interface Course {
  /** The sender is there, and the first byte is on its way. `size` is that of the file; undefined if not known. */
  onBegun(size: number | undefined): void
  /** `bytes` of the file are here, and right. */
  onProgress(bytes: number): void
  onInterrupted(secondsLeft: number): void
  /** The disk takes nothing. It may be away, or asleep. */
  onDiskWaits(): void
  /** Called after either of the two. */
  onResumed(): void
  /** All is here. From now on it can't be stopped. */
  onClosing(): void
}

/**
 * Receives a file, and puts it where `way` leads. Throws EssError, or what `signal` was aborted with; then nothing that
 * looks like the file is left, and if the server can't know why, it is told.
 */
export async function receive(
  link: Link,
  offer: Offer,
  way: Way,
  signal: AbortSignal,
  course: Course,
): Promise<Done> {
  const receiving = new Receiving(offer, way, signal, course)
  let isReceiver = false
  let head: Head | undefined
  try {
    const bytes = await download(link, signal, {
      onTaken() {
        isReceiver = true
      },
      onHead(told) {
        head = told
        return receiving.begin(told)
      },
      onBytes: (bytes) => receiving.take(bytes),
      isWhole: () => receiving.isWhole,
      onInterrupted: (secondsLeft) => course.onInterrupted(secondsLeft),
      onResumed: () => course.onResumed(),
    })
    const done = await receiving.end()
    // It never rejects, and the file is safe, whether or not the sender hears of it.
    if (head !== undefined) void confirm(link, bytes, head)
    return done
  } catch (error) {
    const mayBeReceiver = isReceiver || !isRefusal(error)
    await Promise.all([aborted(receiving), ...(mayBeReceiver ? [giveUp(link)] : [])])
    throw error
  }
}

/** Resolves when it is undone, or when the disk has had long enough for that: what is not closed gets no name. */
async function aborted(receiving: Receiving): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ABORT_MS)
  })
  await Promise.race([receiving.abort(), enough])
  clearTimeout(timer)
}

/** True for the server's word that this page can't have the file. What another receiver has is not ours to end. */
function isRefusal(error: unknown): boolean {
  return error instanceof EssError && error.code !== 'interrupted' && !UNHEARD.includes(error.code)
}

class Receiving {
  readonly #offer: Offer
  readonly #way: Way
  readonly #signal: AbortSignal
  readonly #course: Course
  /** Undefined until the begin of the body has told it. */
  #opener: Opener | undefined
  #sink: Sink | undefined
  #size: number | undefined
  #bodySize: number | undefined
  readonly #batches = new Batches((batch) => this.#write(batch))
  /** The begin of a body, until it tells how to open it. */
  #begin = new Uint8Array(0)
  #bytes = 0

  constructor(offer: Offer, way: Way, signal: AbortSignal, course: Course) {
    this.#offer = offer
    this.#way = way
    this.#signal = signal
    this.#course = course
  }

  async begin({ note, size }: Head): Promise<void> {
    const { sealed } = this.#offer
    expectSame(this.#offer, note)
    this.#bodySize = size
    if (sealed.by === 'nothing') await this.#open(PLAIN, size)
    else if (sealed.by === 'note') await this.#openSeal(sealed.seal)
  }

  async take(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const body = this.#opener === undefined ? await this.#takeBegin(bytes) : bytes
    if (this.#opener === undefined) return
    let pieces = 0
    for (const piece of this.#opener.push(body)) {
      await this.#batches.push(piece)
      this.#bytes += piece.length
      pieces++
      if (pieces % PIECES_A_TURN === 0) await nextTurn()
    }
    this.#course.onProgress(this.#bytes)
  }

  get isWhole(): boolean {
    return this.#opener?.last() !== undefined && this.#sink?.isWhole?.() !== false
  }

  /** Throws what the signal was aborted with while there was something left to stop. */
  async end(): Promise<Done> {
    const last = this.#opener?.last()
    if (last === undefined || this.#sink === undefined) throw new EssError('not-authentic')
    await this.#batches.push(last)
    this.#bytes += last.length
    if (this.#size !== undefined && this.#size !== this.#bytes) throw new EssError('not-authentic')
    await this.#batches.flush()
    this.#course.onProgress(this.#bytes)
    this.#signal.throwIfAborted()
    this.#course.onClosing()
    return await this.#toDisk(this.#sink.close())
  }

  async abort(): Promise<void> {
    await (this.#sink === undefined ? this.#way.drop() : this.#sink.abort())
  }

  async #write(batch: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#sink !== undefined) await this.#toDisk(unlessStopped(this.#sink.write(batch), this.#signal))
  }

  /** Tells the person if it takes long. */
  async #toDisk<Value>(step: Promise<Value>): Promise<Value> {
    let isTold = false
    const timer = setTimeout(() => {
      isTold = true
      this.#course.onDiskWaits()
    }, SLOW_DISK_MS)
    try {
      return await step
    } finally {
      clearTimeout(timer)
      if (isTold) this.#course.onResumed()
    }
  }

  async #takeBegin(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { sealed } = this.#offer
    const joined = new Uint8Array(this.#begin.length + bytes.length)
    joined.set(this.#begin)
    joined.set(bytes, this.#begin.length)
    this.#begin = joined
    const seal = sealed.by === 'body' ? await openBegin(joined, sealed.keys) : undefined
    if (seal !== undefined) await this.#openSeal(seal)
    return joined
  }

  async #openSeal(seal: Seal): Promise<void> {
    const size = sizeInside(seal, this.#bodySize) ?? this.#offer.size
    if (this.#offer.size !== undefined && size !== this.#offer.size) throw new EssError('not-authentic')
    await this.#open(new SealedOpener(seal), size)
  }

  async #open(opener: Opener, size: number | undefined): Promise<void> {
    const { name, type } = this.#offer
    this.#opener = opener
    this.#size = size
    this.#course.onBegun(size)
    this.#sink = await this.#way.open({ name, size, type })
  }
}
