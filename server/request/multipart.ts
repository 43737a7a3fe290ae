import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { EssError, formatCount, safeContentType, safeFileName } from '../../shared/index.js'
import { withResolvers } from '../node/with-resolvers.js'
import type { SenderBody } from '../relay/transfer.js'
import { type FilePart, readFilePart } from './form-part.js'
import { brokenForm, FormScanner } from './form-scanner.js'
import type { Notes } from './notes.js'
import type { Payload } from './payload.js'

/** How long the head of the file's part may take to come. */
const PART_HEAD_MS = 30_000

/** How many parts may come up to the file, itself included. */
const MAX_LEAD_PARTS = 64

/** How many bytes may come before the file. */
const MAX_LEAD_BYTES = 64 * 1024

/** How much of the file waits here for a receiver. Node reads some more ahead. */
const BUFFER_BYTES = 16 * 1024

/** The boundary in a Content-Type: its characters and its length (RFC 2046, 5.1.1). */
const BOUNDARY = /;\s*boundary=(?:"([\w'()+,./:=? -]{1,70})"|([\w'()+,./:=?-]{1,70})(?=[\s;]|$))/i

/**
 * Boundaries of programs that end every form with `--` and one line end, so that the form's size gives the file's size.
 * Others write no line end (undici 5, node-fetch) or two (got), and don't say so in advance.
 */
const ONE_LINE_END: readonly RegExp[] = [
  // curl, to 8.3 and since
  /^-{24}(?:[0-9a-f]{16}|[0-9A-Za-z]{22})$/,
  // Chromium, Safari
  /^-{4}WebKitFormBoundary[0-9A-Za-z]{16}$/,
  // Firefox, since 131 and before
  /^-{4}geckoformboundary[0-9a-f]{16,64}$/,
  /^-{27}[0-9]{15,40}$/,
  // form-data of npm, for axios among others
  /^-{26}[0-9a-f]{24}$/,
]

/** The one file in a form. */
export interface FormFile {
  readonly payload: Omit<Payload, keyof Notes>
  readonly body: SenderBody
}

/** True for a request whose body is a form that can hold files. */
export function isForm({ headers }: IncomingMessage): boolean {
  return /^multipart\/form-data\s*(?:;|$)/i.test(headers['content-type'] ?? '')
}

/** The boundary between the parts of a form. Throws EssError `bad-request` if the head names none. */
export function boundaryOf({ headers }: IncomingMessage): string {
  const [, quoted, plain] = BOUNDARY.exec(headers['content-type'] ?? '') ?? []
  // White space at its end may be lost on the way (RFC 2046, 5.1.1).
  const boundary = quoted?.trimEnd() || plain
  if (boundary === undefined) throw brokenForm('no boundary in its Content-Type')
  return boundary
}

/**
 * Reads a form (RFC 7578) up to its file, and then streams the file: nothing is stored, and a slow reader slows the
 * sender down. The file has to be the last part. Rejects with EssError `no-file-in-form`, `bad-request`,
 * `unsupported-media-type`, `request-timeout` or `sender-lost`; a later failure destroys `body.stream` with such an
 * error.
 */
export async function readForm(request: IncomingMessage): Promise<FormFile> {
  const boundary = boundaryOf(request)
  const { promise: found, resolve, reject } = withResolvers<FormFile>()
  const file = new FileBody(() => request.resume())
  /** The file's part, and the offset at which its body begins. */
  let part: (FilePart & { readonly at: number }) | undefined
  /**
   * A part without a file name. It's a file only if a byte of it comes: a field in which no file was chosen has none.
   */
  let nameless: typeof part
  let parts = 0
  let wasLeftEmpty = false
  const scanner = new FormScanner(boundary, {
    part: (head, at) => partFound(readFilePart(head), at),
    body: (bytes) => {
      part ??= nameless
      if (part !== undefined) file.add(bytes)
    },
    partEnd: () => {
      wasLeftEmpty ||= nameless !== undefined
      nameless = undefined
    },
  })
  const deadline = setTimeout(() => {
    fail(
      new EssError(
        'request-timeout',
        `The file in the form did not begin within ${PART_HEAD_MS / 1000} s. Try again, or send the file itself, as curl -T does.`,
      ),
    )
  }, PART_HEAD_MS)
  request.on('data', take).on('end', ended).on('close', lost).on('error', lost)
  return await found

  function partFound(next: FilePart | undefined, at: number): void {
    if (part !== undefined) {
      if (next === undefined) throw brokenForm('a field after the file, which has to come last')
      throw new EssError(
        'no-file-in-form',
        'The form has more than one file. Send one at a time, or pack them into one.',
      )
    }
    parts++
    if (parts > MAX_LEAD_PARTS) throw brokenForm(`more than ${MAX_LEAD_PARTS} parts`)
    checkLead(at)
    if (next === undefined) return
    if (next.fileName === '') nameless = { ...next, at }
    else part = { ...next, at }
  }

  function take(chunk: Buffer): void {
    attempt(() => scanner.scan(chunk))
  }

  function ended(): void {
    unhook()
    attempt(() => {
      scanner.end()
      if (part === undefined) {
        const why = wasLeftEmpty
          ? 'No file was chosen in the form. Choose one, and send the form again.'
          : 'The form has no file. Add one; with curl, by -F file=@FILE.'
        throw new EssError('no-file-in-form', why)
      }
      file.finish()
    })
  }

  function attempt(read: () => void): void {
    const failure = failureOf(read) ?? failureOf(() => checkLead())
    // A file that was found gets its link, even if the form is malformed after it.
    if (part !== undefined && !file.isFed) begin(part, failure === undefined)
    if (failure !== undefined) fail(failure)
    else if (file.isFull) request.pause()
  }

  /** Throws EssError `bad-request` for too much before the file. */
  function checkLead(bytes = part?.at ?? scanner.offset): void {
    if (bytes > MAX_LEAD_BYTES) throw brokenForm(`more than ${MAX_LEAD_BYTES} bytes before its file`)
  }

  function begin({ fileName, contentType, at }: NonNullable<typeof part>, isWell: boolean): void {
    clearTimeout(deadline)
    const contentLength = lengthOf(at, isWell)
    file.feed(contentLength)
    resolve({
      payload: {
        fileName: safeFileName(fileName),
        contentType: safeContentType(contentType),
        contentLength,
      },
      body: { stream: file, isWhole: () => request.complete },
    })
  }

  /**
   * The size of the file that begins at `at`: counted if the whole form is here, else worked out from the form's own
   * size.
   */
  function lengthOf(at: number, isWell: boolean): number | undefined {
    const total = request.headers['content-length']
    if (total === undefined) return undefined
    if (isWell && scanner.isClosed && scanner.offset === Number(total)) return file.bytes
    const foretold = Number(total) - at - `\r\n--${boundary}--\r\n`.length
    // If more of the file has come than that, the form ends in another way.
    const isForetold = ONE_LINE_END.some((pattern) => pattern.test(boundary)) && file.bytes <= foretold
    return isForetold ? foretold : undefined
  }

  function lost(): void {
    fail(
      new EssError('sender-lost', 'The sender disconnected before its form had come. Send the file again.'),
    )
  }

  function fail(error: EssError): void {
    unhook()
    reject(error)
    file.destroy(error)
    // The rest of the form is skipped.
    request.resume()
  }

  function unhook(): void {
    clearTimeout(deadline)
    request.off('data', take).off('end', ended).off('close', lost).off('error', lost)
    request.on('error', () => undefined)
  }
}

function failureOf(action: () => void): EssError | undefined {
  try {
    action()
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    return error
  }
  return undefined
}

/** The bytes of the file. The stream ends only after the whole form: a form that is cut short never ends it. */
class FileBody extends Readable {
  readonly #readOn: () => void
  /** Bytes that came before `feed`; undefined after it. */
  #first: Buffer[] | undefined = []
  #total: number | undefined
  #last: Buffer | undefined
  #bytes = 0
  #isFull = false

  constructor(readOn: () => void) {
    super({ highWaterMark: BUFFER_BYTES })
    this.#readOn = readOn
    // Its reader listens too. Before there is a reader, the answer to the request tells the error.
    this.on('error', () => undefined)
  }

  get isFed(): boolean {
    return this.#first === undefined
  }

  /** True while no more bytes are wanted: until the next call of `readOn`. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Bytes added so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Starts to give the bytes out. `total` is the size of the file; undefined if not known. */
  feed(total: number | undefined): void {
    const first = this.#first ?? []
    this.#first = undefined
    this.#total = total
    this.#bytes = 0
    for (const bytes of first) this.add(bytes)
  }

  /**
   * Takes bytes of the file. The piece that completes `total` is held back until `finish`: the right size alone must
   * not make a file look complete. Throws EssError `bad-request` for bytes beyond `total`.
   */
  add(bytes: Buffer): void {
    if (this.destroyed) return
    this.#bytes += bytes.length
    if (this.#first !== undefined) {
      this.#first.push(bytes)
      return
    }
    if (this.#total !== undefined && this.#bytes > this.#total) {
      throw brokenForm(
        `a file of more than the ${formatCount(this.#total, 'byte')} that the form's length leaves for it`,
      )
    }
    if (this.#bytes === this.#total) this.#last = bytes
    else if (!this.push(bytes)) this.#isFull = true
  }

  /** Ends the file. Throws EssError `bad-request` if it is shorter than `total`. */
  finish(): void {
    if (this.#total !== undefined && this.#bytes < this.#total) {
      throw brokenForm(
        `a file of ${formatCount(this.#bytes, 'byte')}, where the form's length leaves ${this.#total} for it`,
      )
    }
    if (this.#last !== undefined) this.push(this.#last)
    this.push(null)
  }

  override _read(): void {
    this.#isFull = false
    this.#readOn()
  }
}
