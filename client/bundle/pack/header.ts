import { Header } from '../tar-format.js'
import type { Entry } from './entry.js'
import { isAscii } from './names.js'

/** All parts of a tar begin at a multiple of this. */
export const RECORD_BYTES = 512

const TYPES = {
  folder: 'Directory',
  file: 'File',
  'symbolic link': 'SymbolicLink',
  'hard link': 'Link',
} as const satisfies Record<Entry['kind'], string>

/** The longest name and the longest target in a header. A longer name could still be cut in two, but not every one. */
const MAX_NAME_BYTES = 99
const MAX_TARGET_BYTES = 100
/** The largest size or time in octal digits. */
const MAX_NUMBER = 0o77777777777

/** Bytes of what precedes an entry's content. */
export function headerLength(entry: Entry): number {
  const more = paxRecords(entry)
  return more === '' ? RECORD_BYTES : RECORD_BYTES * 2 + padded(Buffer.byteLength(more))
}

/** Writes what precedes an entry's content to the beginning of `memory`: the same bytes each time. */
export function writeHeader(entry: Entry, memory: Buffer): void {
  memory.fill(0)
  const more = paxRecords(entry)
  if (more !== '') {
    const size = memory.write(more, RECORD_BYTES)
    encode({ type: 'ExtendedHeader', path: 'PaxHeader', mode: 0o644, size, mtime: 0, target: '' }, memory, 0)
  }
  const { kind, mode, mtime } = entry
  const size = kind === 'file' ? entry.size : 0
  const target = 'target' in entry ? entry.target : ''
  const fields = { type: TYPES[kind], path: tarPath(entry), mode, size, mtime, target } as const
  encode(fields, memory, memory.length - RECORD_BYTES)
}

interface Fields {
  readonly type: (typeof TYPES)[Entry['kind']] | 'ExtendedHeader'
  readonly path: string
  readonly mode: number
  readonly size: number
  readonly mtime: number
  readonly target: string
}

/** One for all, because to make one takes three times as long as to encode it. Who sends it is nothing to the receiver. */
const header = new Header({ uid: 0, gid: 0, uname: '', gname: '' })

function encode(fields: Fields, memory: Buffer, at: number): void {
  header.type = fields.type
  header.path = fields.path
  header.linkpath = fields.target
  header.mode = fields.mode
  header.size = fields.size
  header.mtime = new Date(fields.mtime * 1000)
  header.encode(memory, at)
}

/** Rounded up to where the next part begins. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / RECORD_BYTES) * RECORD_BYTES
}

function tarPath({ kind, path }: Entry): string {
  return kind === 'folder' ? `${path}/` : path
}

/**
 * What the header proper can't hold, or not for every reader, as records of the extended header (POSIX.1-2017, pax). A
 * name that isn't ASCII is in both: tar.exe takes that of the header for one in the code page of its machine.
 */
function paxRecords(entry: Entry): string {
  const path = tarPath(entry)
  let records = ''
  if (!fits(path, MAX_NAME_BYTES)) records += record('path', path)
  if ('target' in entry && !fits(entry.target, MAX_TARGET_BYTES)) records += record('linkpath', entry.target)
  if (entry.kind === 'file' && entry.size > MAX_NUMBER) records += record('size', String(entry.size))
  if (entry.mtime < 0 || entry.mtime > MAX_NUMBER) records += record('mtime', String(entry.mtime))
  return records
}

function fits(text: string, maxBytes: number): boolean {
  return text.length <= maxBytes && isAscii(text)
}

/** `LENGTH KEY=VALUE` and a line feed; the length counts its own digits too. */
function record(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest
  while (length !== rest + String(length).length) length = rest + String(length).length
  return `${length} ${key}=${value}\n`
}
