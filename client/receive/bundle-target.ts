import { lstatSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { EssError, SEVERAL_FILES } from '../../shared/index.js'
import { exists } from '../files/unwritable.js'
import type { Offer } from './offer.js'
import type { Destination } from './sink.js'

/** Where a bundle is unpacked. */
export interface BundleTarget {
  /** Where it will probably be: only the tar tells. */
  readonly path: string
  /** In a folder, all that is at the top of the bundle gets its own name. Else the bundle gets the name of `path`. */
  readonly isInFolder: boolean
  /** The folder that it goes to. */
  readonly folder: string
}

const TAR = /\.tar$/i

/** Where this bundle goes. Undefined for one whose tar was asked for. */
export function bundleTarget(to: Destination, { name }: Offer): BundleTarget | undefined {
  if ('folder' in to)
    return { path: join(to.folder, name.replace(TAR, '') || name), isInFolder: true, folder: to.folder }
  if ('file' in to && !TAR.test(to.file))
    return { path: to.file, isInFolder: false, folder: dirname(to.file) }
  return undefined
}

/**
 * Throws EssError `file-exists` if something stands in the way that a folder can't replace. A courtesy: the link isn't used
 * up yet. What is in the tar may have other names.
 */
export function expectFree({ path, isInFolder }: BundleTarget, { name }: Offer, force: boolean): void {
  // Such a bundle makes no folder `files`.
  if (isInFolder && name === SEVERAL_FILES) return
  const old = lstatSync(path, { throwIfNoEntry: false })
  if (old === undefined) return
  if (!force) throw exists(path)
  if (!old.isDirectory())
    throw new EssError(
      'file-exists',
      `${path} is no folder, and the download is one. Choose another place with -o, or get the tar: -o ${basename(path)}.tar`,
    )
}
