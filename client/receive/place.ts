import { join } from 'node:path'
import { EssError } from '../../shared/index.js'
import { openWhenRead } from '../files/fifo.js'
import { unwritable } from '../files/unwritable.js'
import { type BundleTarget, bundleTarget, expectFree } from './bundle-target.js'
import { refuseIfUnderWay } from './live-part.js'
import { isText, type OpenOffer } from './offer.js'
import type { PartTerms } from './part-file.js'
import { type RoomCheck, roomForBundle, roomForDescriptor, roomForFile, roomForStream } from './room.js'
import { type Destination, deviceSink, openDeviceSink, openFileSink, type Sink, streamSink } from './sink.js'
import { checkFolder, type FileTarget, findTarget, type StreamTarget } from './target.js'

export interface PlaceOptions {
  /** True overwrites an existing file. */
  readonly force: boolean
  /** True begins anew, whatever an earlier run has left. */
  readonly fresh: boolean
  /** True unpacks a bundle where it can. */
  readonly unpack: boolean
  /** Ends every wait. */
  readonly signal: AbortSignal | undefined
}

/** What an earlier run has left of a download. */
export interface Begun {
  readonly offer: OpenOffer
  readonly bytes: number
}

/**
 * The place for one download. It is found and tried before the GET, because the link works once, and the sender may
 * not be able to send again.
 */
export class Place {
  readonly #to: Destination
  readonly #options: PlaceOptions
  #begun: Begun | undefined
  #target: FileTarget | undefined
  #device: StreamTarget | undefined
  #sink: Sink | undefined
  /** What the part that was opened is for. */
  #partId: string | undefined
  /** True if the part takes what a bundle has, and not the bundle. */
  #isBundle = false
  /** Undefined if we can't know how much room there is. */
  #room: RoomCheck | undefined

  constructor(to: Destination, options: PlaceOptions) {
    this.#to = to
    this.#options = options
  }

  /** What an earlier run has left, to go on from. */
  get begun(): Begun | undefined {
    return this.#begun
  }

  /**
   * Throws EssError `file-exists` or `file-unwritable` if there is no place for the download, and `interrupted`.
   * `lookAhead` asks for the size and the sender's name, where one of them matters; if it returns undefined, the
   * response to the GET has to tell.
   */
  async prepare(lookAhead: () => Promise<OpenOffer | undefined>): Promise<void> {
    const { fresh } = this.#options
    if ('folder' in this.#to) {
      checkFolder(this.#to.folder)
      const preview = await lookAhead()
      if (preview === undefined || (this.#to.text !== undefined && isText(preview))) return
      if (this.#bundleIn(preview) !== undefined) return await this.#openBundle(preview, fresh)
      const target = await this.#reach(join(this.#to.folder, preview.name), false)
      if (target !== undefined) await this.#openPart(target, preview, fresh)
      return await this.#expect(preview.size)
    }
    const target = 'file' in this.#to ? await this.#reach(this.#to.file, true) : undefined
    if ('stream' in this.#to) this.#room = roomForStream(this.#to.stream)
    if (this.#room === undefined) return
    const preview = await lookAhead()
    if (target !== undefined && preview !== undefined && this.#bundleIn(preview) !== undefined)
      return await this.#openBundle(preview, fresh)
    if (target !== undefined) await this.#openPart(target, preview, fresh)
    await this.#expect(preview?.size)
  }

  /** Opens the place for this offer. Throws the same errors as `prepare`. */
  async open(offer: OpenOffer): Promise<Sink> {
    const { size } = offer
    if ('stream' in this.#to) {
      await this.#expect(size)
      return streamSink(this.#to.stream)
    }
    if ('folder' in this.#to && this.#to.text !== undefined && isText(offer)) {
      await this.discard(true)
      return streamSink(this.#to.text(offer.size))
    }
    const path = 'folder' in this.#to ? join(this.#to.folder, offer.name) : this.#to.file
    const isFile = 'folder' in this.#to || this.#target !== undefined
    const bundle = isFile ? this.#bundleIn(offer) : undefined
    const isOpen =
      this.#sink?.path === (bundle?.path ?? path) &&
      this.#partId === offer.partId &&
      this.#isBundle === (bundle !== undefined)
    // Only the response to the GET may have told the name, or the id.
    if (isFile && !isOpen) {
      await this.discard(true)
      this.#begun = undefined
      const target = bundle === undefined ? await this.#reach(path, 'file' in this.#to) : undefined
      if (bundle !== undefined) await this.#openBundle(offer, true)
      else if (target !== undefined) await this.#openPart(target, offer, true)
    }
    await this.#expect(size)
    // Only now, because the reader of a pipe notices when we open it.
    if (this.#device !== undefined) return openDeviceSink(this.#device)
    if (this.#sink === undefined) throw new Error('a place was opened that nothing was prepared for')
    return this.#sink
  }

  /** What an earlier run has left is of no use: `open` begins anew. */
  forget(): void {
    this.#begun = undefined
    this.#partId = undefined
  }

  /** Leaves nothing behind but what another run can go on from: nothing of a transfer that `isOver`. */
  async discard(isOver: boolean): Promise<void> {
    await this.#sink?.discard(isOver)
    this.#sink = undefined
  }

  /** Finds the place at this path, and opens it unless it is a file. */
  async #reach(path: string, isTyped: boolean): Promise<FileTarget | undefined> {
    const { force, signal } = this.#options
    const target = findTarget(path, { force, isTyped })
    if (target.kind === 'file') {
      if (!force) await refuseIfUnderWay(path, target.real, signal)
      this.#room = roomForFile(target)
      this.#target = target
      return target
    }
    if (target.isFifo) this.#sink = await this.#meetReader(path)
    else {
      this.#device = target
      this.#room = roomForDescriptor(path)
    }
    return undefined
  }

  async #openPart(target: FileTarget, offer: OpenOffer | undefined, isFresh: boolean): Promise<void> {
    this.#isBundle = false
    await this.#openSink(offer, isFresh, (terms) => openFileSink(target, this.#options.force, terms))
  }

  /** Where this offer is unpacked, if it is. */
  #bundleIn(offer: OpenOffer): BundleTarget | undefined {
    return offer.bundle !== undefined && this.#options.unpack ? bundleTarget(this.#to, offer) : undefined
  }

  async #openBundle(offer: OpenOffer, isFresh: boolean): Promise<void> {
    const { force, signal } = this.#options
    const { size, bundle } = offer
    const target = this.#bundleIn(offer)
    if (target === undefined || bundle === undefined) throw new Error('not a bundle that is unpacked')
    expectFree(target, offer, force)
    if (!force) await refuseIfUnderWay(target.path, target.path, signal)
    this.#room = roomForBundle(target, bundle.entries)
    this.#isBundle = true
    const { openBundleSink } = await import('./bundle-sink.js')
    await this.#openSink(offer, isFresh, (terms) => openBundleSink(target, { size, bundle }, force, terms))
    await this.#expect(size)
  }

  async #openSink(
    offer: OpenOffer | undefined,
    isFresh: boolean,
    open: (terms: PartTerms) => Promise<Sink>,
  ): Promise<void> {
    this.#partId = offer?.partId
    // A transfer that can't go on begins anew.
    const terms = {
      id: offer?.partId,
      isFresh: isFresh || offer?.isResumable !== true,
      signal: this.#options.signal,
    }
    this.#sink = await open(terms)
    const { begun } = this.#sink
    if (offer?.isResumable === true && begun !== undefined) this.#begun = { offer, bytes: begun }
  }

  /** Without a reader we could write no byte of the download, so we don't use the link until there is one. */
  async #meetReader(path: string): Promise<Sink> {
    try {
      return deviceSink(await openWhenRead(path, this.#options.signal))
    } catch (error) {
      throw error instanceof EssError ? error : unwritable(path, error)
    }
  }

  async #expect(size: number | undefined): Promise<void> {
    try {
      if (size !== undefined) this.#room?.(size - (this.#begun?.bytes ?? 0))
    } catch (error) {
      await this.discard(false)
      throw error
    }
  }
}
