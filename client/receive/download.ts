import { EssError } from '../../shared/index.js'
import { checkOptionNames, kindOf } from '../../shared/option-names.js'
import { nearestName } from '../http/nearest-name.js'
import { type GoOnHooks, isOver } from './go-on.js'
import { leftoversOf, removeLeftovers } from './leftovers.js'
import { isUnasked, LookAhead } from './look-ahead.js'
import { type Offer, RECEIVE_OPTIONS, type ReceiveOptions } from './offer.js'
import { Place } from './place.js'
import { goOnLater, type Received, Receiving } from './receiving.js'
import type { Destination } from './sink.js'
import { wantedOf } from './wanted.js'

export type { Received }

export interface DownloadOptions extends ReceiveOptions, GoOnHooks {
  /** Where the download goes. Default: a file with the sender's name, in the current folder. */
  readonly to?: Destination | undefined
  /** True overwrites an existing file. Default: false. */
  readonly force?: boolean | undefined
  /** True begins anew, even if an earlier run has left a part of this download. Default: false. */
  readonly fresh?: boolean | undefined
  /**
   * False writes a bundle (several files or a folder, which the sender's `ess` made one tar of) as that tar. So does a
   * stream, a pipe, a device, and a file whose name ends in `.tar`. Default: true.
   */
  readonly unpack?: boolean | undefined
  /** Called once, before the first byte. */
  readonly onOffer?: (offer: Offer) => void
  /** Called with the number of bytes so far, for each piece received. */
  readonly onProgress?: (bytes: number) => void
}

const DOWNLOAD_OPTIONS = {
  ...RECEIVE_OPTIONS,
  to: true,
  force: true,
  fresh: true,
  unpack: true,
  onOffer: true,
  onProgress: true,
  onInterrupted: true,
  onResumed: true,
} as const satisfies Record<keyof DownloadOptions, true>

/**
 * Receives what is sent under an id, or at a whole download URL. Resolves when every byte is in its place, and only
 * then is the sender told "delivered". Rejects with an EssError and leaves no file behind, except in two cases:
 *
 * - Every byte is on the disk, but the file, or what was unpacked, can't get its name any more. Then the sender is told
 *   "delivered", and the `file-exists` or `file-unwritable` says where the file is.
 * - The transfer is not over, but the server could not be reached for minutes. Then the part stays, the message names it,
 *   and another call goes on from it. So does one after this process was killed.
 *
 * A sealed download is opened as it comes, and all sizes, offsets and names are those of what is inside. Without a key
 * (`key-required`) or with another one (`wrong-key`), it is refused before anything is used up. If what comes is not what
 * was sealed, it fails with `not-authentic`; a stream has then got authentic bytes alone, and not all of them.
 */
export async function download(idOrUrl: string, options: DownloadOptions = {}): Promise<Received> {
  checkOptionNames('download', options, DOWNLOAD_OPTIONS, nearestName)
  const { to = { folder: '.' }, force = false, fresh = false, unpack = true, signal } = options
  if (!isDestination(to)) {
    const wanted = '"to" must be { file }, { folder } or { stream }'
    throw new EssError('usage', `download: ${wanted}, not ${kindOf(to)}.`)
  }
  const wanted = wantedOf(idOrUrl, options)
  const place = new Place(to, { force, fresh, unpack, signal })
  const ahead = new LookAhead(wanted, options)
  await place
    .prepare(() => ahead.offer())
    // A pipe needs no preparation, but a sealed download needs a key, and the link works once.
    .then(() => ahead.offer())
    .catch(async (error: unknown) => {
      await place.discard(false)
      throw isUnasked(error) ? withLeftovers(error, wanted.url, to) : error
    })
  const { received, trouble } = await new Receiving(ahead.wanted, place, options)
    .run()
    .catch(async (error: unknown) => {
      await place.discard(true)
      if (isOver(error)) await removeLeftovers(wanted.url, to)
      throw error
    })
  if (trouble !== undefined) throw trouble
  return received
}

/** The same error, and where the part of an earlier run is. */
function withLeftovers(error: EssError, url: URL, to: Destination): EssError {
  // What is left of an age file that was sent without a note can't be gone on with.
  const part = leftoversOf(url, to).find((path) => !path.endsWith('.age.part'))
  if (part === undefined) return error
  return new EssError(error.code, `${error.message} ${goOnLater(part)}`, { cause: error })
}

function isDestination(to: unknown): to is Destination {
  if (typeof to !== 'object' || to === null) return false
  return (
    ('file' in to && typeof to.file === 'string') ||
    ('folder' in to && typeof to.folder === 'string') ||
    'stream' in to
  )
}
