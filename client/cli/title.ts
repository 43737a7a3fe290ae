import { type BundleNote, formatCount, SEVERAL_FILES } from '../../shared/index.js'

/**
 * How people are told what a transfer has: `report.pdf`, or `photos, 1,204 items` for a folder, or `3 items` for several
 * files. Undefined for a file without a name.
 */
export function titleOf(name: string | undefined, bundle: BundleNote | undefined): string | undefined {
  if (bundle === undefined) return name
  const items = formatCount(bundle.entries, 'item')
  const bare = name === SEVERAL_FILES ? undefined : name?.replace(/\.tar$/, '')
  return bare === undefined ? items : `${bare}, ${items}`
}
