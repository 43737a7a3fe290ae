import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Sink } from '../ends/sink.js'
import { BlockWriter } from './block-writer.js'
import type { BodyOpener } from './body-opener.js'
import type { Seal } from './seal.js'

/**
 * A sink for a sealed body, which hands on to `inner` what was inside. The last chunk counts only when the sink is ended,
 * so end it when the body is known to be whole. A body that is not authentic fails the write with an EssError
 * `not-authentic`; then `inner` has got nothing but authentic bytes, and not all of them.
 */
export function sealedSink(inner: Sink, opener: BodyOpener, { isNoted }: Seal): Sink {
  const writable = new OpeningWritable(inner, opener)
  return {
    writable,
    // The end has a meaning of its own, also where `inner` stays open.
    ends: true,
    isLive: inner.isLive,
    // Some know it only when all is in its place.
    get path() {
      return inner.path
    },
    get names() {
      return inner.names
    },
    begun: inner.begun,
    async commit() {
      writable.release()
      return await inner.commit()
    },
    async keep() {
      await writable.handedOn()
      // Without a note, no other run could open the rest.
      return isNoted ? await inner.keep() : undefined
    },
    discard: (isOver) => inner.discard(isOver),
  }
}

class OpeningWritable extends Writable {
  readonly #inner: Sink
  readonly #opener: BodyOpener
  readonly #blocks: BlockWriter

  constructor(inner: Sink, opener: BodyOpener) {
    super({ highWaterMark: inner.writable.writableHighWaterMark })
    this.#inner = inner
    this.#opener = opener
    this.#blocks = new BlockWriter(inner.writable)
    inner.writable.on('error', this.#fail)
  }

  /** Stops listening to the inner stream, which may be the caller's. */
  release(): void {
    this.#inner.writable.off('error', this.#fail)
  }

  /** Resolves when the inner stream has written all that was opened, or has failed. */
  async handedOn(): Promise<void> {
    await this.#blocks.end().catch(() => {}) // A failure is told where it was noticed.
  }

  override _write(block: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.#handOn(this.#opener.push(block)).then(() => callback(), callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#finish().then(() => callback(), callback)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#inner.ends) this.#inner.writable.destroy()
    callback(error)
  }

  async #handOn(pieces: Iterable<Buffer>): Promise<void> {
    for (const piece of pieces) await this.#blocks.take(piece)
    if (this.#inner.isLive) await this.#blocks.flush()
  }

  async #finish(): Promise<void> {
    await this.#handOn(this.#opener.end())
    await this.#blocks.end()
    if (this.#inner.ends) await finished(this.#inner.writable.end())
  }

  readonly #fail = (error: Error): void => {
    this.destroy(error)
  }
}
