import { type Entry, entryOf } from './entry.js'
import { BLOCK_BYTES, readHeader } from './header.js'
import { checkGlobalRecords, type PaxRecords, readPaxRecords } from './pax-records.js'
import { unsafe } from './unsafe.js'

/** What comes next in a tar. An `entry` is followed by its `data`, and then by `isWhole`. */
export type Piece =
  | { readonly entry: Entry; readonly contentAt: number }
  | { readonly data: Buffer }
  | { readonly isWhole: true }

/** Where to begin to read. */
export interface Start {
  /** Bytes of the tar before the first byte that is read. */
  readonly offset: number
  /** Bytes of content that the entry which is begun still has. */
  readonly left: number
}

/** The beginning of a tar. */
export const BEGINNING: Start = { offset: 0, left: 0 }
const WHOLE: Piece = { isWhole: true }
/** Headers that say something of the next entry, or of all. */
const EXTENDED_TYPES: readonly string[] = ['x', 'g', 'L', 'K']
const ZEROS = Buffer.alloc(BLOCK_BYTES)
/** Extended headers hold names and the attributes of files, which Linux limits to 64 KiB each. */
const MAX_EXTENSION_BYTES = 1024 * 1024

type State =
  | 'header'
  /** An extended header, or a long name of GNU's. */
  | 'extension'
  | 'content'
  /** Zeros up to a whole block. */
  | 'padding'
  /** After the first of two blocks of zeros. */
  | 'ending'
  | 'ended'

/** Reads a tar from its bytes, however they are cut. Keeps no more of it than one header. */
export class TarReader {
  readonly #size: number | undefined
  #offset: number
  #state: State
  /** Bytes that the state still waits for. */
  #left: number
  /** What has come of them, where they must be together. */
  #held: Buffer | undefined
  /** The extended header that is being read. */
  #extending = { type: '', bytes: 0 }
  /** What extended headers said of the next entry, and the types of these headers. */
  #extension: PaxRecords = {}
  #extendedBy = ''

  /** `size` is the length of the whole tar, undefined if it isn't known. */
  constructor(size: number | undefined, start: Start = BEGINNING) {
    this.#size = size
    this.#offset = start.offset
    this.#state = start.offset === 0 ? 'header' : 'content'
    this.#left = start.offset === 0 ? BLOCK_BYTES : start.left
  }

  /** All that `chunk` has. Read it to its end before the next call. Throws EssError `unsafe-bundle`. */
  *read(chunk: Buffer): Generator<Piece, void, undefined> {
    let rest = chunk
    // An entry may have no content to wait for, and no padding.
    while (rest.length > 0 || (this.#left === 0 && this.#state !== 'ended')) {
      const taken = rest.subarray(0, this.#left)
      rest = rest.subarray(taken.length)
      this.#left -= taken.length
      this.#offset += taken.length
      switch (this.#state) {
        case 'content':
          if (taken.length > 0) yield { data: taken }
          if (this.#left > 0) break
          yield WHOLE
          this.#expect('padding', padded(this.#offset) - this.#offset)
          break
        case 'padding':
          if (this.#left === 0) this.#expect('header', BLOCK_BYTES)
          break
        case 'ended':
          if (!isZero(taken)) throw unsafe('something follows its end')
          this.#left = BLOCK_BYTES
          break
        default: {
          const block = this.#together(taken)
          const piece = block && this.#takeBlock(block)
          if (piece !== undefined) yield piece
        }
      }
    }
  }

  /** Call this after the last byte. Throws EssError `unsafe-bundle` if the tar isn't whole. */
  end(): void {
    if (this.#state !== 'ended') throw unsafe('it ends in its middle')
  }

  #takeBlock(block: Buffer): Piece | undefined {
    if (this.#state === 'extension') this.#extend(block)
    else if (isZero(block)) this.#takeZeros()
    else if (this.#state === 'ending') throw unsafe('something follows its end')
    else return this.#takeHeader(block)
    return undefined
  }

  #takeZeros(): void {
    if (this.#extendedBy !== '') throw unsafe('an extended header has no entry')
    this.#expect(this.#state === 'header' ? 'ending' : 'ended', BLOCK_BYTES)
  }

  #takeHeader(block: Buffer): Piece | undefined {
    const header = readHeader(block)
    const { type, size } = header
    if (EXTENDED_TYPES.includes(type)) {
      if (size === 0 || size > MAX_EXTENSION_BYTES) throw unsafe('an extended header is empty, or too large')
      if (this.#extendedBy.includes(type)) throw unsafe('an entry has two extended headers of one kind')
      this.#extending = { type, bytes: size }
      this.#expect('extension', padded(size))
      return undefined
    }
    const entry = entryOf(header, this.#extension)
    this.#extension = {}
    this.#extendedBy = ''
    if (this.#size !== undefined && padded(entry.size) > this.#size - this.#offset)
      throw unsafe('is larger than what was announced', entry.path)
    this.#expect('content', entry.size)
    return { entry, contentAt: this.#offset }
  }

  #extend(block: Buffer): void {
    const { type, bytes } = this.#extending
    const data = block.subarray(0, bytes)
    if (type === 'g') checkGlobalRecords(data)
    else {
      const added =
        type === 'x' ? readPaxRecords(data) : { [type === 'L' ? 'path' : 'linkpath']: readLongName(data) }
      for (const key of Object.keys(added))
        if (Object.hasOwn(this.#extension, key)) throw unsafe(`an entry has two values for ${key}`)
      this.#extension = { ...this.#extension, ...added }
      this.#extendedBy += type
    }
    this.#expect('header', BLOCK_BYTES)
  }

  #expect(state: State, bytes: number): void {
    this.#state = state
    this.#left = bytes
  }

  /** All bytes that the state waited for, once they are there. */
  #together(taken: Buffer): Buffer | undefined {
    if (this.#held === undefined) {
      if (this.#left === 0) return taken
      this.#held = Buffer.allocUnsafe(taken.length + this.#left)
    }
    const held = this.#held
    // A copy, because the memory of the chunk is used again.
    taken.copy(held, held.length - this.#left - taken.length)
    if (this.#left > 0) return undefined
    this.#held = undefined
    return held
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(ZEROS.subarray(0, bytes.length))
}

/** A name of GNU's ends with a NUL. */
function readLongName(data: Buffer): string {
  const text = data.toString('latin1').replace(/\0+$/, '')
  if (text === '') throw unsafe('an entry has no name')
  return text
}
