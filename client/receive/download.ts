import { pipeline } from 'node:stream/promises'
import { EssError } from '../../shared/index.js'
import { checkOptionNames, kindOf } from '../../shared/option-names.js'
import { USED_UP, unwritable } from '../files/unwritable.js'
import { type Exchange, isExchangeError } from '../http/exchange.js'
import { nearestName } from '../http/nearest-name.js'
import {
  downloadUrl,
  expectOffer,
  expectPreview,
  incomplete,
  isProven,
  type Offer,
  type Preview,
  RECEIVE_OPTIONS,
  type ReceiveOptions,
  requestDownload,
} from './offer.js'
import { Place } from './place.js'
import type { Destination, Sink } from './sink.js'
import { writeBlocks } from './write-blocks.js'

export interface DownloadOptions extends ReceiveOptions {
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
  const answer = requestDownload('GET', url, options, true)
  try {
    const offer = await expectOffer(answer, url)
    const sink = await place.open(offer)
    options.onOffer?.(offer)
    const bytes = await pump(answer, sink, offer, options.onProgress)
    await answer.lastWord()
    if (answer.failure !== undefined || !(await isProven(answer, bytes)))
      throw incomplete(answer.failure, bytes, offer.size, sink.path === undefined)
    answer.ignoreAbort()
    const trouble = await sink.commit()
    // The server takes this FIN to mean that the file is here, so nothing that can fail may come after it.
    answer.close()
    return { received: { ...offer, bytes, path: sink.path }, trouble }
  } catch (error) {
    answer.reset()
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

/** Moves the body into the sink, at the sink's pace. */
async function pump(
  answer: Exchange,
  sink: Sink,
  offer: Offer,
  onProgress: (bytes: number) => void = () => {},
): Promise<number> {
  let bytes = 0
  function count(bytesSoFar: number): void {
    bytes = bytesSoFar
    onProgress(bytes)
  }
  async function* counted(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      count(bytes + chunk.length)
      yield chunk
    }
  }
  try {
    const blocks = answer.blocks(count)
    if (blocks !== undefined) await writeBlocks(blocks, sink)
    else await pipeline(answer.body, counted, sink.writable, { end: sink.ends })
  } catch (error) {
    if (!isExchangeError(error)) throw unwritable(sink.path, error, USED_UP)
    throw incomplete(answer.failure, bytes, offer.size, sink.path === undefined)
  }
  if (offer.size !== undefined && bytes !== offer.size)
    throw incomplete(undefined, bytes, offer.size, sink.path === undefined)
  return bytes
}

function isDestination(to: unknown): to is Destination {
  if (typeof to !== 'object' || to === null) return false
  return (
    ('file' in to && typeof to.file === 'string') ||
    ('folder' in to && typeof to.folder === 'string') ||
    'stream' in to
  )
}
