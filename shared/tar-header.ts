import { toLatin1 } from './latin1.js'
import { unsafe } from './tar-unsafe.js'

/** A tar consists of blocks of this size. */
export const BLOCK_BYTES = 512

/** One header as it is in the tar. Names are bytes: one character of a string for each. */
export interface Header {
  /** The type flag; the NUL of old tars is '0'. */
  readonly type: string
  readonly name: string
  readonly linkName: string
  /** Undefined if the field is empty. */
  readonly mode: number | undefined
  readonly size: number
  /** Seconds since 1970; undefined if the field is empty. */
  readonly mtime: number | undefined
}

const POSIX_MAGIC = 'ustar\x0000'
const GNU_MAGIC = 'ustar  \0'
const CHECKSUM_AT = 148
const CHECKSUM_BYTES = 8
const SPACE = 0x20

/**
 * Reads a header (POSIX.1-2017, pax, "ustar Interchange Format"; or GNU's). It is strict, because programs that guess
 * differently at a broken header see different files. Throws EssError `unsafe-bundle`.
 */
export function readHeader(block: Uint8Array): Header {
  if (readNumber(block, CHECKSUM_AT, CHECKSUM_BYTES, 'checksum') !== sumOf(block))
    throw unsafe('a header has a wrong checksum')
  const magic = toLatin1(block.subarray(257, 265))
  if (magic !== POSIX_MAGIC && magic !== GNU_MAGIC) throw unsafe('a header is of no kind of tar that we know')
  const size = readNumber(block, 124, 12, 'size')
  if (size !== undefined && size < 0) throw unsafe('a header has a negative size')
  // In this place GNU has other things.
  const prefix = magic === POSIX_MAGIC ? readText(block, 345, 155) : ''
  const name = readText(block, 0, 100)
  return {
    type: toLatin1(block.subarray(156, 157)).replace('\0', '0'),
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: readText(block, 157, 100),
    mode: readNumber(block, 100, 8, 'mode'),
    size: size ?? 0,
    mtime: readNumber(block, 136, 12, 'time'),
  }
}

/** The sum of all bytes, with those of the checksum itself as spaces. */
function sumOf(block: Uint8Array): number {
  let sum = CHECKSUM_BYTES * SPACE
  for (let at = 0; at < BLOCK_BYTES; at++)
    if (at < CHECKSUM_AT || at >= CHECKSUM_AT + CHECKSUM_BYTES) sum += block[at] ?? 0
  return sum
}

/** The bytes up to the first NUL. */
function readText(block: Uint8Array, at: number, length: number): string {
  const nul = block.indexOf(0, at)
  return toLatin1(block.subarray(at, nul === -1 ? at + length : Math.min(nul, at + length)))
}

/** A number in octal digits; or, with its first bit set, in binary, as GNU writes what has no room. */
function readNumber(block: Uint8Array, at: number, length: number, what: string): number | undefined {
  const first = block[at] ?? 0
  if (first >= 0x80) return readBinary(block.subarray(at, at + length), what)
  const text = toLatin1(block.subarray(at, at + length))
  const [, digits] = /^ *([0-7]*)[ \0]*$/.exec(text) ?? []
  if (digits === undefined) throw unsafe(`a header has a ${what} that is no number`)
  return digits === '' ? undefined : Number.parseInt(digits, 8)
}

/** Base 256, big end first: 0x80 before a number that isn't negative, 0xff before one that is, in two's complement. */
function readBinary(field: Uint8Array, what: string): number {
  const isNegative = field[0] === 0xff
  if (field[0] !== 0x80 && !isNegative) throw unsafe(`a header has a ${what} that is too large`)
  let value = isNegative ? -1n : 0n
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte)
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw unsafe(`a header has a ${what} that is too large`)
  return number
}
