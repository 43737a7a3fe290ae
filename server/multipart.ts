import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Busboy } from '@fastify/busboy'
import { EssError, safeContentType, safeFileName } from '../shared/index.js'
import type { Payload } from './socket.js'
import type { SenderBody } from './transfer.js'
import { withResolvers } from './with-resolvers.js'

/** How long the head of the file's part may take. */
const PART_HEAD_MS = 30_000

/** What stands before the file in a form: more than that is no form for a file. */
const LIMITS = { fieldSize: 64 * 1024, fields: 64, headerPairs: 64, headerSize: 16 * 1024 } as const

/** How much may stand before the file, in bytes. */
const MAX_LEAD_BYTES = 64 * 1024

/**
 * How much of a part the parser holds before it pauses: more than comes in one read. A part that nobody reads yet, and
 * whose end is there when the parser pauses for it, is never gone on from: with no answer to the sender.
 */
const PART_BUFFER_BYTES = 128 * 1024

/** What a boundary may be made of, and how long (RFC 2046, 5.1.1). */
const BOUNDARY = /;\s*boundary=(?:"([\w'()+,./:=? -]{1,70})"|([\w'()+,./:=?-]{1,70})(?=[\s;]|$))/i

/** The one file in a form. */
export interface FormFile {
  readonly payload: Payload
  readonly body: SenderBody
}

/** True for a request whose body is a form that can hold files. */
export function isForm({ headers }: IncomingMessage): boolean {
  return /^multipart\/form-data\s*(?:;|$)/i.test(headers['content-type'] ?? '')
}

/** What stands between the parts of a form. Throws EssError `bad-request` where its head does not say. */
export function boundaryOf({ headers }: IncomingMessage): string {
  const [, quoted, plain] = BOUNDARY.exec(headers['content-type'] ?? '') ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) throw broken('no boundary in its Content-Type')
  return boundary
}

/**
 * Reads a form (RFC 7578) up to its file, of which it then gives the bytes as they come: nothing is stored, and
 * a reader that is slow holds the sender up. The file has to be the last part, so that its size is known from
 * the size of the form. Rejects with EssError `no-file-in-form`, `bad-request`, `request-timeout` or
 * `sender-lost`; what goes wrong later destroys `body.stream` with such an error.
 */
export async function readForm(request: IncomingMessage): Promise<FormFile> {
  const boundary = boundaryOf(request)
  const { promise: found, resolve, reject } = withResolvers<FormFile>()
  // Not the sender's own words: the parser may find another boundary in them than we did, or none, and throws then.
  const parser = new Busboy({
    headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
    limits: LIMITS,
    fileHwm: PART_BUFFER_BYTES,
  })
  const file = new FileBody()
  const lines = new EmptyLines()
  const delimiter = `\r\n--${boundary}`
  /** Bytes of the form that the parser has got. */
  let offset = 0
  /** The search for the file in the last chunk. */
  let seeking = Promise.resolve()
  /** Where the file begins, if the last head was its own. */
  let fileOffset = Number.NEGATIVE_INFINITY
  const deadline = setTimeout(() => {
    fail(new EssError('request-timeout', `Expected the file's part within ${PART_HEAD_MS / 1000} s`))
  }, PART_HEAD_MS)

  parser
    .on('file', (_field, stream, fileName, _coding, mimeType) => {
      if (file.isFed) {
        stream.resume()
        fail(new EssError('no-file-in-form', 'Expected one file in the form, got a second one'))
        return
      }
      clearTimeout(deadline)
      const told = payload(fileName, mimeType)
      file.feed(stream, told.contentLength)
      resolve({
        payload: told,
        body: { stream: file, isWhole: () => request.complete },
      })
    })
    .on('field', (name) => {
      if (file.isFed) fail(broken(`the field ${JSON.stringify(name)} after the file, which has to come last`))
    })
    .on('fieldsLimit', () => fail(broken('too many fields')))
    .on('error', (error) => fail(broken(error instanceof Error ? error.message : String(error))))
    .on('finish', () => {
      if (file.isFed) file.finish()
      else fail(new EssError('no-file-in-form', 'Expected a file in the form, got none'))
    })
    .on('drain', () => request.resume())
  request.on('data', take).on('end', ended).on('close', lost).on('error', lost)
  return await found

  function take(chunk: Buffer): void {
    if (!file.isFed) seeking = seek(chunk)
    else if (!parser.write(chunk)) request.pause()
  }

  /**
   * Up to the file in pieces, to know where it begins: after the empty line that ends its part's head. The parser
   * tells of that head only when what follows cannot be a boundary any more, so there it is given single bytes.
   */
  async function seek(chunk: Buffer): Promise<void> {
    request.pause()
    let rest = chunk
    while (!file.isFed && rest.length > 0) {
      const isNear = offset - fileOffset < delimiter.length
      const piece = lines.upToEmpty(isNear ? rest.subarray(0, 1) : rest)
      offset += piece.length
      rest = rest.subarray(piece.length)
      if (offset > MAX_LEAD_BYTES) {
        fail(broken(`more than ${MAX_LEAD_BYTES} bytes before its file`))
        return
      }
      if (lines.areAtEmpty && !isNear) fileOffset = offset
      // It tells some ticks after it was given the bytes.
      await new Promise<void>((resolve) => parser.write(piece, () => setImmediate(resolve)))
    }
    if (rest.length === 0 || parser.write(rest)) request.resume()
  }

  function payload(fileName: string | undefined, mimeType: string): Payload {
    const total = request.headers['content-length']
    // What browsers, curl and the common libraries write after the last part.
    const closing = `${delimiter}--\r\n`.length
    return {
      fileName: safeFileName(unescapeName(fileName ?? '')),
      contentType: safeContentType(mimeType),
      contentLength: total === undefined ? undefined : Math.max(0, Number(total) - fileOffset - closing),
    }
  }

  function ended(): void {
    unhook()
    // A request that is paused may end all the same, when its last chunk was taken.
    void seeking.then(() => parser.end())
  }

  function lost(): void {
    fail(new EssError('sender-lost', 'the sender disconnected'))
  }

  function fail(error: EssError): void {
    unhook()
    reject(error)
    file.destroy(error)
    // What still comes is for nobody.
    request.resume()
  }

  function unhook(): void {
    clearTimeout(deadline)
    request.off('data', take).off('end', ended).off('close', lost).off('error', lost)
    request.on('error', () => undefined)
  }
}

/** Browsers and curl write three characters of a name as percent-encodings, and only those (WHATWG HTML, 4.10.22.7). */
function unescapeName(name: string): string {
  return name.replace(/%(?:22|0D|0A)/gi, (escaped) => decodeURIComponent(escaped))
}

/** The bytes of the file. They end when the whole form has: a form that is cut short has no end. */
class FileBody extends Readable {
  #part: Readable | undefined
  #bytes = 0
  #last: Buffer | undefined

  constructor() {
    super()
    // Who reads it listens as well; where nobody does yet, the request's own answer says what is wrong.
    this.on('error', () => undefined)
  }

  get isFed(): boolean {
    return this.#part !== undefined
  }

  /** The last of `total` bytes waits for the end: what is only as long as the whole must not look whole. */
  feed(part: Readable, total: number | undefined): void {
    this.#part = part
    part.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length
      if (total !== undefined && this.#bytes > total) {
        this.destroy(broken(`a file of more than the ${total} bytes that its length foretold`))
        return
      }
      if (this.#bytes === total) {
        this.#last = chunk
        return
      }
      if (!this.push(chunk)) part.pause()
    })
    // The parser tells of it too.
    part.on('error', () => undefined)
  }

  finish(): void {
    if (this.#last !== undefined) this.push(this.#last)
    this.push(null)
  }

  override _read(): void {
    this.#part?.resume()
  }
}

/** Finds the empty lines in bytes that come in chunks, also where the end of a chunk cuts one. */
class EmptyLines {
  #before = Buffer.alloc(0)

  /** True when the last piece ended with one. */
  get areAtEmpty(): boolean {
    return this.#before.equals(EMPTY_LINE)
  }

  /** The bytes of `chunk` up to the end of the first empty line, or all of them. */
  upToEmpty(chunk: Buffer): Buffer {
    const before = this.#before.subarray(-3)
    const joined = Buffer.concat([before, chunk])
    const at = joined.indexOf(EMPTY_LINE)
    const piece = at < 0 ? chunk : chunk.subarray(0, at + EMPTY_LINE.length - before.length)
    this.#before = Buffer.from(joined.subarray(0, before.length + piece.length).subarray(-4))
    return piece
  }
}

const EMPTY_LINE = Buffer.from('\r\n\r\n')

function broken(what: string): EssError {
  return new EssError('bad-request', `Expected a form as multipart/form-data, got ${what}`)
}
