import { EssError } from '../../shared/index.js'
import { checkOptionNames, kindOf } from '../../shared/option-names.js'
import { USED_UP, unwritable } from '../files/unwritable.js'
import { type Exchange, isExchangeError } from '../http/exchange.js'
import { nearestName } from '../http/nearest-name.js'
import { giveUp } from './give-up.js'
import { type GoOnHooks, goOn, isCut, isOurs } from './go-on.js'
import {
  downloadUrl,
  expectOffer,
  expectPreview,
  incomplete,
  isProven,
  type Offer,
  type OpenOffer,
  type Preview,
  RECEIVE_OPTIONS,
  type ReceiveOptions,
  requestDownload,
} from './offer.js'
import { Place } from './place.js'
import type { Destination, Sink } from './sink.js'
import { ended, writeBlocks, writeChunks } from './write-blocks.js'

export interface DownloadOptions extends ReceiveOptions, GoOnHooks {
  /** Where the download goes. Default: a file with the sender's name, in the current folder. */
  readonly to?: Destination | undefined
  /** True overwrites an existing file. Default: false. */
  readonly force?: boolean | undefined
  /** Called once, before the first byte. */
  readonly onOffer?: (offer: Offer) => void
  /** Called with the number of bytes so far, for each piece received. */
  readonly onProgress?: (bytes: number) => void
}

const DOWNLOAD_OPTIONS = {
  ...RECEIVE_OPTIONS,
  to: true,
  force: true,
  onOffer: true,
  onProgress: true,
  onInterrupted: true,
  onResumed: true,
} as const satisfies Record<keyof DownloadOptions, true>

/** The codes of a HEAD that reached no server. A GET would run into the same trouble, and take as long again. */
const UNASKED: readonly string[] = ['interrupted', 'server-unreachable', 'proxy-failed']

/** A download that is whole and in its place. */
export interface Received extends Offer {
  readonly bytes: number
  /** The path of the file; undefined for a stream. */
  readonly path: string | undefined
}

/**
 * Receives what is sent under an id, or at a whole download URL. Resolves when every byte is in its place, and only
 * then is the sender told "delivered". Rejects with an EssError and leaves no file behind, except in one case: every
 * byte is on the disk, but the file can't get its name any more. Then the sender is told "delivered", and the
 * `file-exists` or `file-unwritable` says where the file is.
 */
export async function download(idOrUrl: string, options: DownloadOptions = {}): Promise<Received> {
  checkOptionNames('download', options, DOWNLOAD_OPTIONS, nearestName)
  const { to = { folder: '.' }, force = false } = options
  if (!isDestination(to)) {
    const wanted = '"to" must be { file }, { folder } or { stream }'
    throw new EssError('usage', `download: ${wanted}, not ${kindOf(to)}.`)
  }
  const url = downloadUrl(idOrUrl, options)
  const place = new Place(to, force, options.signal)
  await place.prepare(() => lookAhead(url, options))
  const { received, trouble } = await receive(url, place, options).catch(async (error: unknown) => {
    await place.discard()
    throw error
  })
  if (trouble !== undefined) throw trouble
  return received
}

async function receive(
  url: URL,
  place: Place,
  options: DownloadOptions,
): Promise<{ readonly received: Received; readonly trouble: EssError | undefined }> {
  let answer = requestDownload('GET', url, options, true)
  let sink: Sink | undefined
  /** As far as the server knows. */
  let mayComeBack = true
  try {
    const offer = await expectOffer(answer, url)
    mayComeBack = offer.isResumable
    sink = await place.open(offer)
    // A write may fail when nothing waits for it. The next one, or the end, reports that.
    sink.writable.on('error', ignore)
    options.onOffer?.(offer)
    const into: Taking = { sink, offer, written: { bytes: 0 }, onProgress: options.onProgress }
    await takeBody(answer, into).catch(async (error: unknown) => {
      if (!offer.isResumable || !isCut(error)) throw error
      answer.reset()
      await goOn({ url, ...into, reason: error }, options, async (rest) => {
        answer = rest
        await takeBody(rest, into)
      })
    })
    if (sink.ends)
      await ended(sink).catch((error: unknown) => {
        throw unwritable(sink?.path, error, USED_UP)
      })
    answer.ignoreAbort()
    const trouble = await sink.commit()
    // The server takes this FIN to mean that the file is here, so nothing that can fail may come after it.
    answer.close()
    sink.writable.off('error', ignore)
    const { id, name, size, type } = offer
    return { received: { id, name, size, type, bytes: into.written.bytes, path: sink.path }, trouble }
  } catch (error) {
    answer.reset()
    if (sink?.ends) sink.writable.destroy()
    // A cut alone would have the sender wait for us.
    if (mayComeBack && isOurs(error)) await giveUp(url, options)
    throw error
  }
}

/**
 * A HEAD uses nothing up: if the file can't get its name or has no room, the transfer is still there for another try.
 * It waits for nothing either, so with `wait` the sender may come only after it.
 */
async function lookAhead(url: URL, options: ReceiveOptions): Promise<Preview | undefined> {
  const look = requestDownload('HEAD', url, options)
  try {
    return await expectPreview(look, url)
  } catch (error) {
    if (error instanceof EssError && UNASKED.includes(error.code)) throw error
    // The GET will report any other trouble, in the server's own words.
    return undefined
  } finally {
    look.reset()
  }
}

function ignore(): void {}

/** A download under way. */
interface Taking {
  readonly sink: Sink
  readonly offer: OpenOffer
  /** Bytes that are in the sink. */
  readonly written: { bytes: number }
  readonly onProgress: ((bytes: number) => void) | undefined
}

/**
 * Moves a body into the sink, at the sink's pace, behind the bytes that are there. Resolves when the server has nothing
 * more to say, and all of it is known to be whole.
 */
async function takeBody(
  answer: Exchange,
  { sink, offer, written, onProgress = () => {} }: Taking,
): Promise<void> {
  const from = written.bytes
  const count = (bytes: number) => {
    written.bytes += bytes
  }
  try {
    const blocks = answer.blocks((bytes) => onProgress(from + bytes))
    if (blocks !== undefined) await writeBlocks(blocks, sink, count, offer.isResumable)
    else
      await writeChunks(answer.body, sink, (bytes) => {
        count(bytes)
        onProgress(written.bytes)
      })
  } catch (error) {
    if (!isExchangeError(error)) throw unwritable(sink.path, error, USED_UP)
    throw incomplete(answer.failure, written.bytes, offer.size, sink.path === undefined)
  }
  const { bytes } = written
  if (offer.size !== undefined && bytes !== offer.size)
    throw incomplete(undefined, bytes, offer.size, sink.path === undefined)
  await answer.lastWord()
  if (answer.failure !== undefined || !(await isProven(answer, bytes - from)))
    throw incomplete(answer.failure, bytes, offer.size, sink.path === undefined)
}

function isDestination(to: unknown): to is Destination {
  if (typeof to !== 'object' || to === null) return false
  return (
    ('file' in to && typeof to.file === 'string') ||
    ('folder' in to && typeof to.folder === 'string') ||
    'stream' in to
  )
}
