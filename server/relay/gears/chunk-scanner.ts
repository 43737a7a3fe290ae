import { EssError } from '../../../shared/index.js'

/** For a chunk's size and its extensions: as much as Node's own parser takes. */
const MAX_LINE_BYTES = 16 * 1024
/** For all extensions of one body together, and for its trailer: as much as Node's own parser takes. */
const MAX_ASIDE_BYTES = 16 * 1024

const NOTHING = Buffer.alloc(0)
const LF = 0x0a
const CR = 0x0d

/** RFC 9110, 5.6.2 and 5.6.4. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"'

/** `chunk-size [ chunk-ext ]` (RFC 9112, 7.1), with a size that a number holds exactly. Extensions are skipped. */
const SIZE_LINE = new RegExp(
  `^(0*[0-9a-fA-F]{1,16})((?:[\\t ]*;[\\t ]*${TOKEN}(?:[\\t ]*=[\\t ]*(?:${TOKEN}|${QUOTED}))?)*)$`,
)

/**
 * A size that is passed on unchanged. Extensions are between the sender and this server (RFC 9112, 7.1.1). Node's fetch
 * and curl fail on some valid ones, and on too many leading zeros.
 */
const PLAIN_SIZE = /^[1-9a-fA-F][0-9a-fA-F]*$/

/** `field-name ":" OWS field-value OWS` (RFC 9112, 5). */
const FIELD_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/

/** A trailer field that would say a second time where the body ends (RFC 9110, 6.5.1). */
const FRAMING_FIELD = /^(?:content-length|transfer-encoding):/i

/** The part of a body in the bytes that were read. */
export interface Piece {
  /**
   * The bytes to write to the receiver, with their framing, but without extensions, the last chunk and the trailer. A
   * chunk's size comes along with the first of its bytes. From a scanner that keeps no framing, these are the bytes of
   * the file alone.
   */
  readonly pass: readonly Buffer[]
  /** How many bytes of the file are in `pass`. */
  readonly payload: number
}

/**
 * Follows the framing of a chunked body without taking it apart (RFC 9112, 7.1). It is strict: anything it would have to
 * guess is an error, because the receiver might guess otherwise. It holds back the last chunk and the trailer, so that
 * the transfer decides whether the body is whole.
 */
export class ChunkScanner {
  #state: 'size' | 'data' | 'data-end' | 'trailer' | 'done' = 'size'
  /** The beginning of a line whose end has not come yet. */
  #line: Buffer = NOTHING
  /** Bytes still to come of this chunk, or of the line end after it. */
  #left = 0
  /** The size line of a chunk of which no byte has come yet. */
  #heldSize: Buffer | undefined
  #extensions = 0
  #trailer = 0
  readonly #keepsFraming: boolean

  /** Pass false for a receiver with a framing of its own. */
  constructor(keepsFraming = true) {
    this.#keepsFraming = keepsFraming
  }

  /** True when the last chunk and the trailer have been read. */
  get isDone(): boolean {
    return this.#state === 'done'
  }

  /**
   * Scans the next bytes of the body; `pass` refers to their memory. Bytes after the body's end are ignored. Throws
   * EssError `bad-request` if the framing is broken.
   */
  scan(bytes: Buffer): Piece {
    if (this.isDone || bytes.length === 0) return { pass: [], payload: 0 }
    const pass: Buffer[] = []
    const keeps = this.#keepsFraming
    if (this.#heldSize !== undefined && keeps) pass.push(this.#heldSize)
    this.#heldSize = undefined
    let payload = 0
    let at = 0
    /** Where the bytes that have not been passed on begin. */
    let from = 0
    while (at < bytes.length && this.#state !== 'done') {
      switch (this.#state) {
        case 'size': {
          const line = this.#takeLine(bytes, at, MAX_LINE_BYTES)
          if (line === undefined) {
            // This may turn out to be the last chunk, so its size stays until the line is complete.
            if (keeps && at > from) pass.push(bytes.subarray(from, at))
            return { pass, payload }
          }
          const size = this.#sizeOf(line.text)
          const isAsItCame = line.length === line.next - at && PLAIN_SIZE.test(line.text)
          if (size === 0) {
            if (keeps && at > from) pass.push(bytes.subarray(from, at))
            from = bytes.length
            this.#state = 'trailer'
          } else {
            if (line.next === bytes.length) {
              if (keeps && at > from) pass.push(bytes.subarray(from, at))
              this.#heldSize = sizeLine(size)
              from = bytes.length
            } else if (!isAsItCame) {
              if (keeps && at > from) pass.push(bytes.subarray(from, at))
              if (keeps) pass.push(sizeLine(size))
              from = line.next
            }
            this.#left = size
            this.#state = 'data'
          }
          at = line.next
          break
        }
        case 'data': {
          const length = Math.min(this.#left, bytes.length - at)
          if (!keeps) pass.push(bytes.subarray(at, at + length))
          payload += length
          at += length
          this.#left -= length
          if (this.#left === 0) {
            this.#left = 2
            this.#state = 'data-end'
          }
          break
        }
        case 'data-end':
          if (bytes[at] !== (this.#left === 2 ? CR : LF)) throw broken('a chunk longer than its size says')
          at++
          this.#left--
          if (this.#left === 0) this.#state = 'size'
          break
        case 'trailer': {
          from = bytes.length
          const line = this.#takeLine(bytes, at, MAX_ASIDE_BYTES - this.#trailer)
          if (line === undefined) return { pass, payload }
          this.#trailer += line.length
          at = line.next
          if (line.text === '') this.#state = 'done'
          else if (!FIELD_LINE.test(line.text) || FRAMING_FIELD.test(line.text))
            throw broken(`${quote(line.text)} as a field of the trailer`)
          break
        }
      }
    }
    if (keeps && from < bytes.length) pass.push(bytes.subarray(from))
    return { pass, payload }
  }

  /** Takes the line that begins at `at`, or goes on from before. Keeps it for the next call if its end isn't there. */
  #takeLine(
    bytes: Buffer,
    at: number,
    maxBytes: number,
  ): { text: string; length: number; next: number } | undefined {
    const end = bytes.indexOf(LF, at)
    const next = end === -1 ? bytes.length : end + 1
    const length = this.#line.length + next - at
    if (length > maxBytes) throw broken('a line of the framing that is too long')
    const isInOnePiece = end !== -1 && this.#line.length === 0
    // Otherwise a copy, because the memory of `bytes` is used again.
    const line = isInOnePiece
      ? bytes.subarray(at, next)
      : Buffer.concat([this.#line, bytes.subarray(at, next)])
    if (end === -1) {
      this.#line = line
      return undefined
    }
    this.#line = NOTHING
    if (line.at(-2) !== CR) throw broken('a line of the framing that ends without CR')
    const text = line.toString('latin1', 0, line.length - 2)
    if (text.includes('\r')) throw broken('a CR within a line of the framing')
    return { text, length, next }
  }

  #sizeOf(line: string): number {
    const [, digits, extension = ''] = SIZE_LINE.exec(line) ?? []
    const size = digits === undefined ? Number.NaN : Number.parseInt(digits, 16)
    if (!Number.isSafeInteger(size)) throw broken(`${quote(line)} as the size of a chunk`)
    this.#extensions += extension.length
    if (this.#extensions > MAX_ASIDE_BYTES)
      throw broken(`more than ${MAX_ASIDE_BYTES} bytes of chunk extensions`)
    return size
  }
}

function sizeLine(size: number): Buffer {
  return Buffer.from(`${size.toString(16)}\r\n`, 'latin1')
}

function quote(line: string): string {
  return JSON.stringify(line.slice(0, 40))
}

function broken(got: string): EssError {
  return new EssError(
    'bad-request',
    `The upload is not valid HTTP/1.1: it has ${got}. Check the program that sends it, and any proxy on the way.`,
  )
}
