import { Readable } from 'node:stream'
import {
  DEFAULT_CONTENT_TYPE,
  type DeliveredEvent,
  EssError,
  type FailedEvent,
  formatContentDisposition,
  fromProblem,
  joinUrl,
  PROBLEM_MEDIA_TYPE,
  QUERY,
  ROUTES,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  safeFileName,
} from '../shared/index.js'
import { notEss, readRefusal } from './answer.js'
import { EventQueue } from './event-queue.js'
import { type Exchange, exchange } from './http.js'
import { fromStream, openFile, type Source } from './source.js'
import { readVerdict } from './verdict.js'

/** Where an `ess-server` listens unless it is told otherwise. */
export const DEFAULT_SERVER = 'http://127.0.0.1:9000'

export interface SendOptions {
  /** The server's URL, with its base path if it has one. Default: `http://127.0.0.1:9000`. */
  readonly server?: string | URL | undefined
  /** The name for the receiver's file. Default: the file's own; none for a stream. */
  readonly name?: string | undefined
  /** Seconds to wait for a receiver, at most the server's own limit. Default: the server's. */
  readonly ttl?: number | undefined
  /** Aborting it resets the connection; the verdict is then `interrupted`. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A transfer under way. Iterate over it for its events (the first is `opened`, with the download URL; they can
 * be read once), or await `verdict`, or both: a failed transfer throws the same EssError in either place.
 */
export interface Sending extends AsyncIterable<StatusEvent> {
  /** Resolves when the receiver has every byte; rejects with an EssError for every other ending. */
  readonly verdict: Promise<DeliveredEvent>
}

/**
 * Sends a file (by its path), a stream, or a source that is open already; it is closed at the end.
 * Nothing is read from it before a receiver is there.
 */
export function send(source: string | Readable | Source, options: SendOptions = {}): Sending {
  const events = new EventQueue()
  const verdict = upload(source, options, events)
  verdict.then(
    () => events.end(),
    // This also keeps it from being an unhandled rejection for those who only iterate.
    (error: unknown) => events.end(error),
  )
  return { verdict, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() }
}

async function upload(
  from: string | Readable | Source,
  options: SendOptions,
  events: EventQueue,
): Promise<DeliveredEvent> {
  const source = await openSource(from)
  const gate = receiverGate()
  try {
    const url = uploadUrl(options)
    const upload: Exchange = exchange('POST', url, {
      headers: uploadHeaders(source, options),
      body: lazyBody(source, gate.opened, (reason) => upload.fail(reason)),
      signal: options.signal,
    })
    try {
      await expectStatusStream(upload, url)
      const verdict = await readVerdict(upload, (event) => {
        events.push(event)
        if (event.event === 'connected') gate.open()
      })
      if (verdict.event === 'failed') throw failureOf(verdict)
      upload.close()
      return verdict
    } catch (error) {
      // The body may still be on its way, and only a reset stops it.
      upload.reset()
      throw error
    }
  } finally {
    gate.giveUp()
    await source.close()
  }
}

async function openSource(from: string | Readable | Source): Promise<Source> {
  if (typeof from === 'string') return await openFile(from)
  return from instanceof Readable ? fromStream(from) : from
}

function uploadUrl(options: SendOptions): URL {
  const url = new URL(joinUrl(String(options.server ?? DEFAULT_SERVER), ROUTES.root))
  if (options.ttl !== undefined) url.searchParams.set(QUERY.ttl, String(options.ttl))
  return url
}

function uploadHeaders(source: Source, options: SendOptions): Readonly<Record<string, string>> {
  return {
    accept: `${STATUS_MEDIA_TYPES.ndjson}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
    // The head goes out at once, and a proxy in between learns that the body comes later.
    expect: '100-continue',
    'content-type': DEFAULT_CONTENT_TYPE,
    'content-disposition': formatContentDisposition(safeFileName(options.name ?? source.name ?? '')),
    ...(source.size !== undefined && { 'content-length': String(source.size) }),
  }
}

/**
 * The bytes of `source`, from the moment a receiver is there. got waits for the end of the response when a
 * body throws, so `fail` breaks the exchange first.
 */
async function* lazyBody(
  source: Source,
  receiver: Promise<void>,
  fail: (reason: EssError) => void,
): AsyncGenerator<Uint8Array> {
  await receiver
  try {
    yield* source.read()
  } catch (error) {
    fail(error instanceof EssError ? error : new EssError('file-unreadable', String(error), { cause: error }))
    throw error
  }
}

/** A promise of the receiver that is always settled in the end, so that the body never waits for nobody. */
function receiverGate() {
  let open = () => {}
  let giveUp = () => {}
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve
    giveUp = () => reject(new Error('the transfer ended before its body began'))
  })
  opened.catch(() => {}) // The transfer's own failure says more.
  return { opened, open, giveUp }
}

async function expectStatusStream(upload: Exchange, url: URL): Promise<void> {
  const head = await upload.head
  const status = head.statusCode ?? 0
  if (status >= 400) throw await readRefusal(upload, head, url)
  const isStatus = (head.headers['content-type'] ?? '').startsWith(STATUS_MEDIA_TYPES.ndjson)
  if ((status !== 200 && status !== 201) || !isStatus) throw notEss(head, url)
}

function failureOf(verdict: FailedEvent): EssError {
  const error = fromProblem(verdict.problem, 'connection-lost')
  return error ?? new EssError('connection-lost', 'The server said that it failed, but not why')
}
