import { join } from 'node:path'
import { EssError } from '../../shared/index.js'
import { openWhenRead } from '../files/fifo.js'
import { unwritable } from '../files/unwritable.js'
import type { Preview } from './offer.js'
import { type RoomCheck, roomForDescriptor, roomForFile, roomForStream } from './room.js'
import { type Destination, deviceSink, openDeviceSink, openFileSink, type Sink, streamSink } from './sink.js'
import { checkFolder, findTarget, type StreamTarget } from './target.js'

/**
 * The place for one download. It is found and tried before the GET, because the link works once, and the sender may
 * not be able to send again.
 */
export class Place {
  readonly #to: Destination
  readonly #force: boolean
  readonly #signal: AbortSignal | undefined
  #device: StreamTarget | undefined
  #sink: Sink | undefined
  /** Undefined if we can't know how much room there is. */
  #room: RoomCheck | undefined

  /** `signal` ends the wait for the reader of a FIFO. */
  constructor(to: Destination, force: boolean, signal?: AbortSignal) {
    this.#to = to
    this.#force = force
    this.#signal = signal
  }

  /**
   * Throws EssError `file-exists` or `file-unwritable` if there is no place for the download, and `interrupted`.
   * `lookAhead` asks for the size and the sender's name, where one of them matters; if it returns undefined, the
   * response to the GET has to tell.
   */
  async prepare(lookAhead: () => Promise<Preview | undefined>): Promise<void> {
    if ('folder' in this.#to) {
      checkFolder(this.#to.folder)
      const preview = await lookAhead()
      if (preview === undefined) return
      await this.#reach(join(this.#to.folder, preview.name), false)
      return await this.#expect(preview.size)
    }
    if ('file' in this.#to) await this.#reach(this.#to.file, true)
    else this.#room = roomForStream(this.#to.stream)
    if (this.#room === undefined) return
    try {
      await this.#expect((await lookAhead())?.size)
    } catch (error) {
      await this.discard()
      throw error
    }
  }

  /** Opens the place for this offer. Throws the same errors as `prepare`. */
  async open({ name, size }: Preview): Promise<Sink> {
    if ('stream' in this.#to) {
      await this.#expect(size)
      return streamSink(this.#to.stream)
    }
    if ('folder' in this.#to) {
      const path = join(this.#to.folder, name)
      if (this.#sink?.path !== path) {
        await this.discard()
        await this.#reach(path, false)
      }
    }
    await this.#expect(size)
    // Only now, because the reader of a pipe notices when we open it.
    if (this.#device !== undefined) return openDeviceSink(this.#device)
    if (this.#sink === undefined) throw new Error('a place was opened that nothing was prepared for')
    return this.#sink
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.#sink?.discard()
    this.#sink = undefined
  }

  async #reach(path: string, isTyped: boolean): Promise<void> {
    const target = findTarget(path, { force: this.#force, isTyped })
    if (target.kind === 'file') {
      this.#sink = await openFileSink(target, this.#force)
      this.#room = roomForFile(target)
    } else if (target.isFifo) this.#sink = await this.#meetReader(path)
    else {
      this.#device = target
      this.#room = roomForDescriptor(path)
    }
  }

  /** Without a reader we could write no byte of the download, so we don't use the link until there is one. */
  async #meetReader(path: string): Promise<Sink> {
    try {
      return deviceSink(await openWhenRead(path, this.#signal))
    } catch (error) {
      throw error instanceof EssError ? error : unwritable(path, error)
    }
  }

  async #expect(size: number | undefined): Promise<void> {
    try {
      if (size !== undefined) this.#room?.(size)
    } catch (error) {
      await this.discard()
      throw error
    }
  }
}
