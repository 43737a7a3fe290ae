import { toLatin1 } from './latin1.js'
import { unsafe } from './tar-unsafe.js'

/** What the extended headers, or GNU's long names, say of the next entry. Names are bytes: one character of a string for each. */
export interface PaxRecords {
  readonly path?: string
  readonly linkpath?: string
  readonly size?: number
  /** Seconds since 1970. */
  readonly mtime?: number
}

/** The keys that we obey. All others but GNU's sparse files say nothing that would change what is unpacked. */
const OBEYED: readonly string[] = ['path', 'linkpath', 'size', 'mtime']
const SPARSE = 'GNU.sparse.'
const LINE_FEED = 0x0a

/**
 * Reads `LENGTH KEY=VALUE\n` by the lengths alone (POSIX.1-2017, pax Extended Header), because a value may hold line feeds.
 * Throws EssError `unsafe-bundle`.
 */
export function readPaxRecords(data: Uint8Array): PaxRecords {
  const found = new Map<string, string>()
  for (let at = 0; at < data.length; ) {
    const { key, value, end } = readRecord(data, at)
    at = end
    if (key.startsWith(SPARSE)) throw unsafe('it has a sparse file')
    if (!OBEYED.includes(key)) continue
    if (found.has(key)) throw unsafe(`an extended header has two values for ${key}`)
    found.set(key, value)
  }
  const path = nameIn(found, 'path')
  const linkpath = nameIn(found, 'linkpath')
  const size = numberIn(found, 'size', /^\d{1,16}$/)
  const mtime = numberIn(found, 'mtime', /^-?\d{1,13}(?:\.\d{0,20})?$/)
  return {
    ...(path !== undefined && { path }),
    ...(linkpath !== undefined && { linkpath }),
    ...(size !== undefined && { size }),
    ...(mtime !== undefined && { mtime }),
  }
}

/** Throws EssError `unsafe-bundle` if a header for all entries says what is unpacked, and where. */
export function checkGlobalRecords(data: Uint8Array): void {
  const { path, linkpath, size } = readPaxRecords(data)
  if (path !== undefined || linkpath !== undefined || size !== undefined)
    throw unsafe('a global header sets names or sizes')
}

function readRecord(data: Uint8Array, at: number): { key: string; value: string; end: number } {
  const space = data.indexOf(0x20, at)
  const digits = space === -1 ? '' : toLatin1(data.subarray(at, Math.min(space, at + 10)))
  const end = at + (/^[1-9]\d*$/.test(digits) ? Number(digits) : Number.NaN)
  // Also if `end` is no number.
  if (!(end > space + 1 && end <= data.length) || data[end - 1] !== LINE_FEED)
    throw unsafe('an extended header has a record of a wrong length')
  const record = toLatin1(data.subarray(space + 1, end - 1))
  const equals = record.indexOf('=')
  if (equals < 1) throw unsafe('an extended header has a record without a key')
  return { key: record.slice(0, equals), value: record.slice(equals + 1), end }
}

function nameIn(found: ReadonlyMap<string, string>, key: string): string | undefined {
  const value = found.get(key)
  // POSIX: then the key counts as if it wasn't there. Whoever wrote it meant to confuse.
  if (value === '') throw unsafe(`an extended header has an empty ${key}`)
  return value
}

function numberIn(found: ReadonlyMap<string, string>, key: string, form: RegExp): number | undefined {
  const value = found.get(key)
  if (value === undefined) return undefined
  const number = form.test(value) ? Number(value) : Number.NaN
  if (Number.isNaN(number) || Math.abs(number) > Number.MAX_SAFE_INTEGER)
    throw unsafe(`an extended header has a ${key} that is no number`)
  return number
}
