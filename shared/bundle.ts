/** What the head of a transfer says of a bundle: several files or a folder, as one tar. */
export interface BundleNote {
  /** How many entries the tar has. A receiver refuses a tar that has more. */
  readonly entries: number
}

/** The name of a bundle of several files, if its sender gives it no other. One of a folder is named after that. */
export const SEVERAL_FILES = 'files.tar'

/** A note has at most nine digits for it. */
export const MOST_ENTRIES = 999_999_999

const NOTE = /^tar;\s*entries=(\d{1,9})$/

/** The value of the header `Ess-Bundle`, such as `tar;entries=12`. */
export function formatBundleNote({ entries }: BundleNote): string {
  return `tar;entries=${entries}`
}

/** Reads the value of the header `Ess-Bundle`. Undefined if it is none. */
export function parseBundleNote(value: string): BundleNote | undefined {
  const [, entries] = NOTE.exec(value.trim()) ?? []
  return entries === undefined ? undefined : { entries: Number(entries) }
}
