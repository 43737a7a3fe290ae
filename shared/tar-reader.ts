import { toLatin1 } from './latin1.js'
import { type Entry, entryOf } from './tar-entry.js'
import { BLOCK_BYTES, readHeader } from './tar-header.js'
import { checkGlobalRecords, type PaxRecords, readPaxRecords } from './tar-pax-records.js'
import { unsafe } from './tar-unsafe.js'

/** An entry begins. `contentAt` is the offset of its content in the tar. */
export interface Begin {
  readonly entry: Entry
  readonly contentAt: number
}

/**
 * What comes next in a tar. An `entry` is followed by its `data`, and then by `isWhole`. `Bytes` is the kind of the chunks
 * that are read.
 */
export type Piece<Bytes extends Uint8Array> = Begin | { readonly data: Bytes } | { readonly isWhole: true }

/** Where to begin to read. */
export interface Start {
  /** Bytes of the tar before the first byte that is read. */
  readonly offset: number
  /** Bytes of content that the entry which is begun still has. */
  readonly left: number
}

/** The beginning of a tar. */
export const BEGINNING: Start = { offset: 0, left: 0 }
const WHOLE = { isWhole: true } as const
/** Headers that say something of the next entry, or of all. */
const EXTENDED_TYPES: readonly string[] = ['x', 'g', 'L', 'K']
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
  #held: Uint8Array | undefined
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
  *read<Bytes extends Uint8Array>(chunk: Bytes): Generator<Piece<Bytes>, void, undefined> {
    // A part of it is of the same kind; TypeScript knows only that of a Uint8Array.
    let rest: Uint8Array = chunk
    // An entry may have no content to wait for, and no padding.
    while (rest.length > 0 || (this.#left === 0 && this.#state !== 'ended')) {
      const taken = rest.subarray(0, this.#left)
      rest = rest.subarray(taken.length)
      this.#left -= taken.length
      this.#offset += taken.length
      switch (this.#state) {
        case 'content':
          if (taken.length > 0) yield { data: taken as Bytes }
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

  #takeBlock(block: Uint8Array): Begin | undefined {
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

  #takeHeader(block: Uint8Array): Begin | undefined {
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

  #extend(block: Uint8Array): void {
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
  #together(taken: Uint8Array): Uint8Array | undefined {
    if (this.#held === undefined) {
      if (this.#left === 0) return taken
      this.#held = new Uint8Array(taken.length + this.#left)
    }
    const held = this.#held
    // A copy, because the memory of the chunk is used again.
    held.set(taken, held.length - this.#left - taken.length)
    if (this.#left > 0) return undefined
    this.#held = undefined
    return held
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

/** A name of GNU's ends with a NUL. */
function readLongName(data: Uint8Array): string {
  const text = toLatin1(data).replace(/\0+$/, '')
  if (text === '') throw unsafe('an entry has no name')
  return text
}
