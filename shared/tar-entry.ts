import type { Header } from './tar-header.js'
import type { PaxRecords } from './tar-pax-records.js'
import { unsafe } from './tar-unsafe.js'

export type EntryKind = 'file' | 'folder' | 'symlink' | 'hardlink'

/** One thing in the tar. Names are bytes: one character of a string for each. */
export interface Entry {
  readonly kind: EntryKind
  /** Relative, with `/` between its names, and none that is empty, `.` or `..`. */
  readonly path: string
  /** Bytes of content; 0 for what is no file. */
  readonly size: number
  /** The permission bits alone. */
  readonly mode: number
  /** Seconds since 1970. */
  readonly mtime: number
  /** Where a symbolic link leads, as it stands in the tar; the path of the entry that a hard link is one with. */
  readonly target: string
}

const KINDS: Readonly<Record<string, EntryKind>> = { 0: 'file', 1: 'hardlink', 2: 'symlink', 5: 'folder' }
const REFUSED: Readonly<Record<string, string>> = {
  3: 'is a device',
  4: 'is a device',
  6: 'is a named pipe',
  7: 'is of a reserved kind',
  S: 'is a sparse file',
}
export const PERMISSIONS = 0o777
const DEFAULT_MODE = { file: 0o644, folder: 0o755, symlink: 0o777, hardlink: 0o644 } as const
/** Linux takes no longer path, and no longer name on nearly all its file systems. */
const MAX_PATH_BYTES = 4095
const MAX_NAME_BYTES = 255
/** From here on, the field in the header has no room for a size. */
const LARGE = 8 * 1024 ** 3

/** Makes an entry of a header. Throws EssError `unsafe-bundle` for one that we don't unpack. */
export function entryOf(header: Header, extension: PaxRecords): Entry {
  const name = extension.path ?? header.name
  const kind = KINDS[header.type]
  if (kind === undefined) throw unsafe(REFUSED[header.type] ?? 'is of a kind that we do not know', name)
  const size = sizeOf(header, extension, name)
  if (size > 0 && kind !== 'file') throw unsafe(`is a ${kind}, but has content`, name)
  const path = pathOf(kind === 'folder' ? name.replace(/\/$/, '') : name)
  const given = extension.linkpath ?? header.linkName
  return {
    kind,
    path,
    size,
    mode: (header.mode ?? DEFAULT_MODE[kind]) & PERMISSIONS,
    mtime: extension.mtime ?? header.mtime ?? 0,
    target: kind === 'hardlink' ? pathOf(given) : kind === 'symlink' ? targetOf(given, name) : '',
  }
}

function sizeOf(header: Header, { size }: PaxRecords, name: string): number {
  if (size !== undefined && size !== header.size && size < LARGE) throw unsafe('has two sizes', name)
  return size ?? header.size
}

function pathOf(name: string): string {
  if (name === '') throw unsafe('an entry has no name')
  if (name.includes('\0')) throw unsafe('has a NUL in its name', name)
  if (name.startsWith('/')) throw unsafe('is an absolute path', name)
  if (name.length > MAX_PATH_BYTES) throw unsafe('is too long', name)
  for (const part of name.split('/')) {
    if (part === '..') throw unsafe('leads out of its folder', name)
    if (part === '' || part === '.') throw unsafe('has an empty name in it', name)
    if (part.length > MAX_NAME_BYTES) throw unsafe('has a name in it that is too long', name)
  }
  return name
}

function targetOf(target: string, name: string): string {
  if (target === '' || target.includes('\0') || target.length > MAX_PATH_BYTES)
    throw unsafe('is a symbolic link that leads nowhere', name)
  return target
}
