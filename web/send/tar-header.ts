/** All parts of a tar begin at a multiple of this. */
export const RECORD_BYTES = 512

/** A folder or a file of a tar. */
export interface TarEntry {
  /** Without a slash at either end. */
  readonly path: string
  /** Bytes; undefined for a folder. */
  readonly size: number | undefined
  /** Whole seconds since 1970. */
  readonly mtime: number
}

/** The longest name in a header, which ends in a zero for old readers. */
const MAX_NAME_BYTES = 99
/** The largest size in octal digits. */
const MAX_SIZE = 0o77777777777

const FILE_MODE = 0o644
const FOLDER_MODE = 0o755
const TYPES = { file: '0', folder: '5', more: 'x' } as const

/** What precedes an entry's content (POSIX.1-2017, pax): the same bytes each time. */
export function tarHeader(entry: TarEntry): Uint8Array<ArrayBuffer> {
  const { size, mtime } = entry
  const isFolder = size === undefined
  const path = isFolder ? `${entry.path}/` : entry.path
  const more = new TextEncoder().encode(paxRecords(path, size ?? 0, mtime))
  const kind = isFolder ? TYPES.folder : TYPES.file
  const mode = isFolder ? FOLDER_MODE : FILE_MODE
  const header = ustarHeader({ path, size: size ?? 0, mtime, mode, kind })
  if (more.length === 0) return header
  const extended = new Uint8Array(2 * RECORD_BYTES + padded(more.length))
  extended.set(
    ustarHeader({ path: 'PaxHeader', size: more.length, mtime: 0, mode: FILE_MODE, kind: TYPES.more }),
  )
  extended.set(more, RECORD_BYTES)
  extended.set(header, extended.length - RECORD_BYTES)
  return extended
}

/** Rounded up to where the next part begins. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / RECORD_BYTES) * RECORD_BYTES
}

interface Fields {
  readonly path: string
  readonly size: number
  readonly mtime: number
  readonly mode: number
  readonly kind: string
}

/** Bytes of a number. */
const SHORT = 8
const LONG = 12
const CHECKSUM_AT = 148

function ustarHeader({ path, size, mtime, mode, kind }: Fields): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(RECORD_BYTES)
  const write = (at: number, length: number, text: string) =>
    header.set(new TextEncoder().encode(text).subarray(0, length), at)
  // A number ends in a space and a zero. Only the largest has no room for the space.
  const octal = (at: number, length: number, value: number) => {
    const digits = value.toString(8).padStart(length - 2, '0')
    write(at, length, digits.length === length - 1 ? `${digits}\0` : `${digits} \0`)
  }
  write(0, 100, path)
  octal(100, SHORT, mode)
  // Who sends it is nothing to the receiver.
  octal(108, SHORT, 0)
  octal(116, SHORT, 0)
  octal(124, LONG, Math.min(size, MAX_SIZE))
  octal(136, LONG, Math.max(0, mtime))
  write(156, 1, kind)
  write(257, 8, 'ustar\x0000')
  octal(329, SHORT, 0)
  octal(337, SHORT, 0)
  // It is counted as if it were spaces.
  header.fill(0x20, CHECKSUM_AT, CHECKSUM_AT + SHORT)
  octal(
    CHECKSUM_AT,
    SHORT,
    header.reduce((total, byte) => total + byte, 0),
  )
  return header
}

/**
 * What the header proper can't hold, or not for every reader, as records of the extended header. A name that isn't ASCII
 * is in both.
 */
function paxRecords(path: string, size: number, mtime: number): string {
  let records = ''
  if (path.length > MAX_NAME_BYTES || !/^[\0-\x7f]*$/.test(path)) records += record('path', path)
  if (size > MAX_SIZE) records += record('size', String(size))
  if (mtime < 0) records += record('mtime', String(mtime))
  return records
}

/** `LENGTH KEY=VALUE` and a line feed; the length counts its own digits too. */
function record(key: string, value: string): string {
  const rest = new TextEncoder().encode(` ${key}=${value}\n`).length
  let length = rest
  while (length !== rest + String(length).length) length = rest + String(length).length
  return `${length} ${key}=${value}\n`
}
