import { EssError } from '../../shared/index.js'

/** The longest head of a part. Programs write no more than a name and a type. */
const MAX_HEAD_BYTES = 16 * 1024

const [TAB, LF, CR, SPACE, DASH] = [0x09, 0x0a, 0x0d, 0x20, 0x2d]

const STRAY_LINE = 'a line that begins with its boundary and goes on differently'

/** Gets the parts of a form, in order. */
export interface FormReader {
  /** A part begins. `head` has one character for each byte; `at` is the offset of the part's body in the form. */
  part(head: string, at: number): void
  /** Bytes of that part. They share memory with the scanned bytes. */
  body(bytes: Buffer): void
  /** The part is complete. */
  partEnd(): void
}

/** How far the line is read that a boundary begins. */
type DelimiterState = 'boundary' | 'dash' | 'padding' | 'cr' | 'closing' | 'closing cr'

/**
 * Takes a form apart at its boundaries (RFC 2046, 5.1.1), in whatever pieces its bytes come. A line that begins with
 * the boundary must be a delimiter from its first to its last byte, and none may follow the closing one. Otherwise a
 * file could end in the middle and look complete.
 */
export class FormScanner {
  readonly #reader: FormReader
  readonly #delimiter: Buffer
  #state: 'preamble' | 'delimiter' | 'head' | 'body' | 'epilogue' = 'preamble'
  #line: DelimiterState = 'boundary'
  /**
   * How many bytes of a delimiter have matched so far. The first delimiter may come without its line end, so that
   * counts as matched.
   */
  #matched = 2
  /** How many of those bytes never came, or aren't the part's own: they are left out if the match fails. */
  #borrowed = 2
  #head = ''
  /** Bytes scanned before the current piece. */
  #offset = 0

  constructor(boundary: string, reader: FormReader) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
    this.#reader = reader
  }

  /** Bytes scanned so far. */
  get offset(): number {
    return this.#offset
  }

  /** True once the closing delimiter has come, with a whole line end or none. */
  get isClosed(): boolean {
    return this.#state === 'epilogue' || (this.#state === 'delimiter' && this.#line === 'closing')
  }

  /** Scans the next bytes. Throws EssError `bad-request` if the form is malformed. */
  scan(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#state === 'delimiter') at = this.#scanLine(bytes, at)
      else if (this.#state === 'head') at = this.#scanHead(bytes, at)
      else at = this.#search(bytes, at)
    }
    this.#offset += bytes.length
  }

  /** No more bytes come. Throws EssError `bad-request` if the closing delimiter is missing, or its line is cut. */
  end(): void {
    if (this.isClosed) return
    const isCut = this.#state === 'delimiter' && this.#line === 'closing cr'
    throw brokenForm(isCut ? STRAY_LINE : 'no closing boundary at its end')
  }

  /** Scans up to the next delimiter. Its only CR is its first byte, so a failed match can't hide another one. */
  #search(bytes: Buffer, start: number): number {
    const delimiter = this.#delimiter
    let at = start
    while (this.#matched > 0 && at < bytes.length) {
      if (bytes[at] !== delimiter[this.#matched]) {
        this.#emit(delimiter.subarray(this.#borrowed, this.#matched))
        this.#matched = 0
        this.#borrowed = 0
      } else {
        at++
        this.#matched++
        if (this.#matched === delimiter.length) return this.#found(at)
      }
    }
    if (at === bytes.length) return at
    const found = bytes.indexOf(delimiter, at)
    if (found !== -1) {
      this.#emit(bytes.subarray(at, found))
      return this.#found(found + delimiter.length)
    }
    const tail = bytes.subarray(Math.max(at, bytes.length - delimiter.length + 1))
    const cr = tail.lastIndexOf(CR)
    const last = cr === -1 ? tail.subarray(tail.length) : tail.subarray(cr)
    if (last.equals(delimiter.subarray(0, last.length))) this.#matched = last.length
    this.#emit(bytes.subarray(at, bytes.length - this.#matched))
    return bytes.length
  }

  #found(next: number): number {
    if (this.#state === 'epilogue') throw brokenForm('another boundary after its closing one')
    if (this.#state === 'body') this.#reader.partEnd()
    this.#state = 'delimiter'
    this.#line = 'boundary'
    return next
  }

  #emit(bytes: Buffer): void {
    if (this.#state === 'body' && bytes.length > 0) this.#reader.body(bytes)
  }

  /** Scans a delimiter's line: `boundary *LWSP CRLF`, or `boundary "--" *LWSP` and a line end or nothing. */
  #scanLine(bytes: Buffer, start: number): number {
    for (let at = start; at < bytes.length; at++) {
      const next = nextInLine(this.#line, bytes[at])
      if (next === undefined) throw brokenForm(STRAY_LINE)
      if (next === 'head') {
        this.#state = 'head'
        // A part may begin with the empty line that ends its head.
        this.#head = '\r\n'
        return at + 1
      }
      if (next === 'epilogue') {
        // A CRLF and another boundary make a delimiter; a bare line feed is not the beginning of one.
        this.#matched = this.#line === 'closing cr' ? 2 : 0
        this.#borrowed = this.#matched
        this.#state = 'epilogue'
        return at + 1
      }
      this.#line = next
    }
    return bytes.length
  }

  #scanHead(bytes: Buffer, at: number): number {
    const before = this.#head.length
    const text = this.#head + bytes.toString('latin1', at, Math.min(bytes.length, at + MAX_HEAD_BYTES))
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if ((end === -1 ? text.length : end) > MAX_HEAD_BYTES) {
      throw brokenForm(`a part whose head is longer than ${MAX_HEAD_BYTES} bytes`)
    }
    if (end === -1) {
      this.#head = text
      return bytes.length
    }
    if (text.slice(0, end).includes(this.#delimiter.toString('latin1'))) {
      throw brokenForm('its boundary in the head of a part')
    }
    const next = at + end + 4 - before
    this.#head = ''
    this.#state = 'body'
    // The head's last line end may be the delimiter's first: of a part without a body (RFC 2046, 5.1.1).
    this.#matched = 2
    this.#borrowed = 2
    this.#reader.part(text.slice(2, end), this.#offset + next)
    return next
  }
}

/** The state after one more byte. Undefined for a byte that no delimiter has there. */
function nextInLine(
  state: DelimiterState,
  byte: number | undefined,
): DelimiterState | 'head' | 'epilogue' | undefined {
  const isPadding = byte === SPACE || byte === TAB
  switch (state) {
    case 'boundary':
      if (byte === DASH) return 'dash'
      if (byte === CR) return 'cr'
      return isPadding ? 'padding' : undefined
    case 'dash':
      return byte === DASH ? 'closing' : undefined
    case 'padding':
      if (byte === CR) return 'cr'
      return isPadding ? 'padding' : undefined
    case 'cr':
      return byte === LF ? 'head' : undefined
    case 'closing':
      if (byte === CR) return 'closing cr'
      // Some programs end their last line with a line feed alone.
      if (byte === LF) return 'epilogue'
      return isPadding ? 'closing' : undefined
    case 'closing cr':
      return byte === LF ? 'epilogue' : undefined
  }
}

/** The error for a malformed form. `what` follows "it has". */
export function brokenForm(what: string): EssError {
  return new EssError(
    'bad-request',
    `The form is broken: it has ${what}. Send the file itself, as curl -T does.`,
  )
}
