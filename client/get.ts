import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import {
  EssError,
  formatBytes,
  PROBLEM_MEDIA_TYPE,
  parseContentDisposition,
  percentDecode,
  QUERY,
  resolveDownloadUrl,
  safeFileName,
} from '../shared/index.js'
import { notEss, readRefusal } from './answer.js'
import { type Exchange, exchange, isExchangeError } from './http.js'
import { DEFAULT_SERVER } from './send.js'
import { checkDestination, checkName, type Destination, openSink, type Sink, unwritable } from './sink.js'

/** Whatever the file's type is, it is welcome; the problem only has to be named. */
const ACCEPT = `*/*, ${PROBLEM_MEDIA_TYPE};q=0.9`

/** What is about to be received. */
export interface Offer {
  /** The name the sender gave, made safe; `ess-ID` where it gave none. */
  readonly name: string
  /** Bytes; undefined when the sender does not know either. */
  readonly size: number | undefined
}

export interface GetOptions {
  /** Where an id is looked up; a whole URL says it itself. Default: `http://127.0.0.1:9000`. */
  readonly server?: string | URL | undefined
  /** Seconds to wait for a sender that is not there yet. Default: 0, an unknown id fails at once. */
  readonly wait?: number | undefined
  /** Default: a file of the sender's name in the current folder. */
  readonly to?: Destination | undefined
  /** True overwrites a file that exists. Default: false. */
  readonly force?: boolean | undefined
  /** Aborting it resets the connection and fails with `interrupted`; no file is left. */
  readonly signal?: AbortSignal | undefined
  /** Called once, before the first byte. */
  readonly onOffer?: (offer: Offer) => void
  /** Called with the number of bytes so far, for each piece that was received. */
  readonly onProgress?: (bytes: number) => void
}

/** A download that is whole and in its place. */
export interface Received extends Offer {
  readonly bytes: number
  /** Where it is; undefined for a stream. */
  readonly path: string | undefined
}

/**
 * Receives what is sent under an id, or at a whole download URL. Resolves when every byte is in its place; the
 * sender is told "delivered" only then. Rejects with an EssError, and then leaves no file behind.
 */
export async function get(idOrUrl: string, options: GetOptions = {}): Promise<Received> {
  const { to = { folder: '.' }, force = false } = options
  const url = resolveDownloadUrl(idOrUrl, String(options.server ?? DEFAULT_SERVER))
  if (options.wait !== undefined) url.searchParams.set(QUERY.wait, String(options.wait))
  checkDestination(to, force)
  if ('folder' in to && !force) await checkSendersName(url, to.folder, options.signal)

  const download = exchange('GET', url, {
    headers: { accept: ACCEPT },
    signal: options.signal,
  })
  let sink: Sink | undefined
  try {
    const head = await expectDownload(download, url)
    const offer = { name: nameOf(head, url), size: sizeOf(head) }
    sink = await openSink(to, offer.name, force)
    options.onOffer?.(offer)
    const bytes = await pump(download, sink, offer, options.onProgress)
    await download.lastWord()
    if (download.failure !== undefined) throw incomplete(download.failure, bytes, offer.size)
    download.ignoreAbort()
    await sink.commit()
    // The server takes this FIN for our word that the file is here: nothing that can fail comes after it.
    download.close()
    return { ...offer, bytes, path: sink.path }
  } catch (error) {
    download.reset()
    await sink?.discard()
    throw error
  }
}

/** A HEAD consumes nothing: where the name is taken, the transfer is still there for another try. */
async function checkSendersName(url: URL, folder: string, signal: AbortSignal | undefined): Promise<void> {
  const look = exchange('HEAD', url, { headers: { accept: ACCEPT }, signal })
  try {
    checkName(folder, nameOf(await expectDownload(look, url), url))
  } catch (error) {
    // Whatever else there is to say, the GET will say it.
    if (error instanceof EssError && /^(file-exists|interrupted)$/.test(error.code)) throw error
  } finally {
    look.reset()
  }
}

/** The head of a download of ours: its ETag always is the id, so whoever sends another is somebody else. */
async function expectDownload(download: Exchange, url: URL): Promise<IncomingMessage> {
  const head = await download.head
  const status = head.statusCode ?? 0
  if (status >= 400) throw await readRefusal(download, head, url)
  const isAttachment = /^attachment\b/i.test(head.headers['content-disposition'] ?? '')
  if (status !== 200 || idIn(head, url) === undefined || !isAttachment) throw notEss(head, url)
  return head
}

function idIn(head: IncomingMessage, url: URL): string | undefined {
  return url.pathname.split('/').find((segment) => segment !== '' && head.headers.etag === `"${segment}"`)
}

/** The name its sender gave it, or the one at the end of the URL, made safe; `ess-ID` where there is neither. */
function nameOf(head: IncomingMessage, url: URL): string {
  const id = idIn(head, url)
  const last = url.pathname.split('/').at(-1) ?? ''
  const given = parseContentDisposition(head.headers['content-disposition'] ?? '')
  const named = last === id ? undefined : percentDecode(last)
  return safeFileName(given ?? '') ?? safeFileName(named ?? '') ?? `ess-${id}`
}

/** The declared size. Without one only the chunked form tells a file's end from a cut. */
function sizeOf(head: IncomingMessage): number | undefined {
  const length = head.headers['content-length']
  if (length !== undefined) return Number(length)
  if (/^chunked$/i.test(head.headers['transfer-encoding'] ?? '')) return undefined
  throw new EssError(
    'incomplete',
    'Expected a Content-Length or the chunked form, got neither: an end proves nothing',
  )
}

/** Moves the body into the sink, at the sink's pace. */
async function pump(
  download: Exchange,
  sink: Sink,
  offer: Offer,
  onProgress: (bytes: number) => void = () => {},
): Promise<number> {
  let bytes = 0
  async function* counted(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      bytes += chunk.length
      onProgress(bytes)
      yield chunk
    }
  }
  try {
    await pipeline(download.body, counted, sink.writable, { end: sink.ends })
  } catch (error) {
    if (!isExchangeError(error)) throw unwritable(sink.path, error)
    throw incomplete(download.failure, bytes, offer.size)
  }
  if (offer.size !== undefined && bytes !== offer.size) throw incomplete(undefined, bytes, offer.size)
  return bytes
}

function incomplete(cause: EssError | undefined, bytes: number, size: number | undefined): EssError {
  if (cause?.code === 'interrupted') return cause
  const expected = size === undefined ? 'a whole file' : formatBytes(size)
  const found = bytes === size ? 'more than that' : `a cut after ${formatBytes(bytes)}`
  return new EssError('incomplete', `Expected ${expected}, got ${found}`, { cause })
}
