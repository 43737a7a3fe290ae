import type { IncomingMessage } from 'node:http'
import {
  EssError,
  HEADERS,
  isTerminal,
  PARTIAL_UPLOAD,
  PROBLEM_MEDIA_TYPE,
  StatusDecoder,
  type TerminalEvent,
} from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import type { Reply } from '../http/exchange.js'
import type { Line, LineAnswer, LineRequest } from '../http/line.js'
import { notEss, readRefusal } from '../http/refusal.js'
import { noteHeaders, resumeHeader } from './lazy-body.js'
import type { SendOptions } from './send-options.js'
import { JSON_MEDIA_TYPE, readText } from './short-answer.js'
import type { Source } from './source.js'
import type { UploadResource } from './upload-resource.js'

/**
 * Bytes of a piece. Each costs a round trip, in which nothing moves, and what a proxy has of a piece that is cut must be
 * sent again. A pipe keeps twice as much.
 */
export const PIECE_BYTES = 8 * 1024 * 1024

/** What a proxy answers that lets no PATCH through. */
const REFUSES_METHOD = [403, 405, 501]

/**
 * Sends a source from `offset` on in pieces, one request after the other, each answered when its bytes were handed on
 * (draft-ietf-httpbis-resumable-upload, section 4.4). That passes every proxy, and none can hold back more than a piece.
 * The first piece begins when `begin` resolves. Resolves with the verdict in the last answer. Rejects with the server's
 * refusal, or `connection-lost`.
 */
export async function sendInPieces(
  line: Line,
  { upload: url }: UploadResource,
  source: Source,
  options: SendOptions,
  { offset: from, begin }: { readonly offset: number; readonly begin: Promise<void> },
): Promise<TerminalEvent> {
  const cutter = new Cutter(source, from, begin)
  for (;;) {
    const { offset } = cutter
    const isFirst = offset === from
    const length = cutter.nextLength
    const isLast = cutter.isAtEnd || (source.size !== undefined && offset + (length ?? 0) === source.size)
    const answer = await ask({
      method: 'PATCH',
      url,
      headers: {
        accept: `${JSON_MEDIA_TYPE}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
        // An old server refuses the first one, and must do so before it begins.
        ...(isFirst && { expect: '100-continue' }),
        ...(offset === 0 && noteHeaders(source)),
        ...resumeHeader(source),
        'content-type': PARTIAL_UPLOAD,
        [HEADERS.uploadOffset]: String(offset),
        [HEADERS.uploadComplete]: isLast ? '?1' : '?0',
        ...(source.size !== undefined && { [HEADERS.uploadLength]: String(source.size) }),
        ...(length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(length) }),
        ...bearer(url, options),
      },
      body: cutter.nextPiece(),
    })
    if (isLast && answer.head.statusCode === 200) return await readVerdictOf(answer, answer.head, url)
    await expectTaken(answer, url, cutter.offset)
  }

  /** A server that can't be reached any more was there a moment ago. */
  async function ask(request: LineRequest): Promise<LineAnswer> {
    return await line.ask(request).catch((error: unknown) => {
      if (!(error instanceof EssError) || error.code !== 'server-unreachable') throw error
      throw new EssError('connection-lost', error.message, { cause: error })
    })
  }
}

/** Throws unless the server has handed on all bytes up to `offset`. */
async function expectTaken(answer: LineAnswer, url: URL, offset: number): Promise<void> {
  const { head } = answer
  const status = head.statusCode ?? 0
  const isProxys = status >= 400 && !(head.headers['content-type'] ?? '').startsWith(PROBLEM_MEDIA_TYPE)
  if (isProxys && REFUSES_METHOD.includes(status)) throw new EssError('method-not-allowed')
  // The server is away for a moment.
  if (isProxys && status > 501) throw lost(url, `it answered with HTTP ${status}`)
  if (status >= 400) throw await readRefusal(answer, head, url)
  await readText(answer, head, url)
  if (head.statusCode !== 204) throw notEss(head, url)
  if (Number(head.headers[HEADERS.uploadOffset]) !== offset) {
    // The server may have given up this piece, and what is left of it counts for nothing.
    throw new EssError('mismatching-upload-offset')
  }
}

function lost(url: URL, words: string, cause?: unknown): EssError {
  return new EssError('connection-lost', `The connection to ${url.origin} was lost: ${words}.`, { cause })
}

/** Reads the verdict in the answer to the end of an upload. Throws if it is a refusal. */
export async function readVerdictOf(answer: Reply, head: IncomingMessage, url: URL): Promise<TerminalEvent> {
  if ((head.statusCode ?? 0) >= 400) throw await readRefusal(answer, head, url)
  const [event] = new StatusDecoder().push(`${await readText(answer, head, url)}\n`)
  if (head.statusCode !== 200 || event === undefined || !isTerminal(event)) throw notEss(head, url)
  return event
}

/** Reads a source once, and cuts it into pieces. */
class Cutter {
  readonly #source: Source
  readonly #begin: Promise<void>
  readonly #blocks: AsyncGenerator<Uint8Array>
  #left: Uint8Array | undefined
  #isAtEnd = false
  /** The offset behind the last byte that was cut off. */
  offset: number

  constructor(source: Source, from: number, begin: Promise<void>) {
    this.#source = source
    this.#begin = begin
    this.#blocks = source.read(from)
    this.offset = from
  }

  /** True when the source of unknown length has ended, so that an empty piece says so. */
  get isAtEnd(): boolean {
    return this.#isAtEnd
  }

  /** Bytes of the next piece; undefined if it is not known. */
  get nextLength(): number | undefined {
    const { size } = this.#source
    if (size !== undefined) return Math.min(PIECE_BYTES, size - this.offset)
    return this.#isAtEnd ? 0 : undefined
  }

  async *nextPiece(): AsyncGenerator<Uint8Array> {
    await this.#begin
    let room = this.nextLength ?? PIECE_BYTES
    // The last piece of a file is read to its end, where a change of the file is found.
    while (room > 0) {
      const block = this.#left ?? (await this.#next())
      if (block === undefined) return
      const cut = block.subarray(0, room)
      this.#left = block.length > room ? block.subarray(room) : undefined
      this.offset += cut.length
      room -= cut.length
      yield cut
    }
  }

  async #next(): Promise<Uint8Array | undefined> {
    // No `for await`: that would end the source with the piece.
    const { done, value } = await this.#blocks.next().catch((error: unknown) => {
      throw error instanceof EssError
        ? error
        : new EssError('file-unreadable', String(error), { cause: error })
    })
    if (done !== true) return value
    this.#isAtEnd = true
    return undefined
  }
}
