import { StringDecoder } from 'node:string_decoder'
import {
  type DeliveredEvent,
  EssError,
  fromProblem,
  isTerminal,
  STATUS_MEDIA_TYPES,
  StatusDecoder,
  type StatusEvent,
  type TerminalEvent,
} from '../../shared/index.js'
import type { Exchange } from '../http/exchange.js'
import { notEss, readRefusal } from '../http/refusal.js'

/** Throws what the server refuses with, or EssError `not-ess` where no status stream begins. */
export async function expectStatusStream(exchange: Exchange, url: URL): Promise<void> {
  const head = await exchange.head
  const status = head.statusCode ?? 0
  if (status >= 400) throw await readRefusal(exchange, head, url)
  const isStatus = (head.headers['content-type'] ?? '').startsWith(STATUS_MEDIA_TYPES.ndjson)
  if ((status !== 200 && status !== 201) || !isStatus) throw notEss(head, url)
}

/**
 * Reads the status stream up to its verdict. The terminal event is the verdict, and whatever happens to the
 * connection after it is noise; an end without one rejects with `connection-lost`, and a stream that does not
 * begin with `opened`, or gives a link that is none, with `not-ess`.
 */
export function readVerdict(upload: Exchange, onEvent: (event: StatusEvent) => void): Promise<TerminalEvent> {
  const utf8 = new StringDecoder('utf8')
  const decoder = new StatusDecoder()
  let isOpened = false

  return new Promise((resolve, reject) => {
    // Listeners and not an iterator: of a stream that broke, an iterator drops what was not read yet, and the
    // line before the break is the one that says why.
    upload.body.on('data', onData)
    upload.body.once('end', () => reject(lost()))
    upload.body.once('error', () => reject(upload.failure ?? lost()))
    upload.body.once('close', () => reject(upload.failure ?? lost()))
    // It may be over already, when the answer broke in the packet that began it.
    if (upload.body.destroyed) reject(upload.failure ?? lost())

    function onData(chunk: Buffer): void {
      try {
        for (const event of decoder.push(utf8.write(chunk))) take(event)
      } catch (error) {
        stop()
        reject(error)
      }
    }

    function take(event: StatusEvent): void {
      if (!isOpened && event.event !== 'opened')
        throw new EssError('not-ess', `Expected a status stream to begin with opened, got ${event.event}`)
      if (event.event === 'opened' && !isLink(event.url))
        throw new EssError('not-ess', `Expected an http(s) URL as the link, got ${JSON.stringify(event.url)}`)
      isOpened = true
      onEvent(event)
      if (!isTerminal(event)) return
      stop()
      resolve(event)
    }

    function stop(): void {
      upload.body.off('data', onData)
      upload.body.resume()
    }
  })
}

/** Made of what RFC 3986 makes URLs of: it is printed, and a terminal obeys some of the rest. */
function isLink(url: string): boolean {
  return /^https?:\/\/[\x21-\x7e]+$/i.test(url) && URL.canParse(url)
}

/** The verdict where it is a good one; throws the other as what it says. */
export function expectDelivered(verdict: TerminalEvent): DeliveredEvent {
  if (verdict.event === 'delivered') return verdict
  const error = fromProblem(verdict.problem, 'connection-lost')
  throw error ?? new EssError('connection-lost', 'The server said that it failed, but not why')
}

function lost(): EssError {
  return new EssError('connection-lost', 'The status stream ended without a verdict')
}
