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

/** Throws the server's refusal, or EssError `not-ess` if no status stream begins. */
export async function expectStatusStream(exchange: Exchange, url: URL): Promise<void> {
  const head = await exchange.head
  const status = head.statusCode ?? 0
  if (status >= 400) throw await readRefusal(exchange, head, url)
  const isStatus = (head.headers['content-type'] ?? '').startsWith(STATUS_MEDIA_TYPES.ndjson)
  if ((status !== 200 && status !== 201) || !isStatus) throw notEss(head, url)
}

/**
 * Reads the status stream up to its verdict, the terminal event. Nothing that happens to the connection after it
 * matters. Rejects with `rewound` or `moved` if the transfer goes on elsewhere, with `connection-lost` if the stream
 * ends without a verdict, and with `not-ess` if it doesn't begin with `opened` or its link is no URL.
 */
export function readVerdict(upload: Exchange, onEvent: (event: StatusEvent) => void): Promise<TerminalEvent> {
  const utf8 = new StringDecoder('utf8')
  const decoder = new StatusDecoder()
  let isOpened = false

  return new Promise((resolve, reject) => {
    // Listeners rather than an iterator: when a stream breaks, an iterator drops the unread bytes, and the line
    // before the break says why it broke.
    upload.body.on('data', onData)
    upload.body.once('end', () => reject(lost()))
    upload.body.once('error', () => reject(upload.failure ?? lost()))
    upload.body.once('close', () => reject(upload.failure ?? lost()))
    // If the response broke in its first packet, the body is over already.
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
        throw new EssError(
          'not-ess',
          `This is not an ESS server: its first event is ${JSON.stringify(event.event)}. Check the address.`,
        )
      if (event.event === 'opened' && !isLink(event.url))
        throw new EssError(
          'not-ess',
          `This is not an ESS server: ${JSON.stringify(event.url)} is no link. Check the address.`,
        )
      isOpened = true
      // Another node takes the rest. The caller tells it, however it hears of it.
      if (event.event === 'moved') throw new EssError('moved')
      onEvent(event)
      // The receiver needs earlier bytes than this request can bring.
      if (event.event === 'rewind') throw new EssError('rewound')
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

/** The characters of a URL in RFC 3986, and no others: we print the link, and a terminal obeys some of the others. */
function isLink(url: string): boolean {
  return /^https?:\/\/[\x21-\x7e]+$/i.test(url) && URL.canParse(url)
}

/** Returns a good verdict. Throws a bad one as its error. */
export function expectDelivered(verdict: TerminalEvent): DeliveredEvent {
  if (verdict.event === 'delivered') return verdict
  const error = fromProblem(verdict.problem, 'connection-lost')
  throw (
    error ??
    new EssError(
      'connection-lost',
      'The transfer failed, and the server does not say why. Send the file again.',
    )
  )
}

/** The error for a connection that ended before the verdict. */
export function lost(): EssError {
  return new EssError(
    'connection-lost',
    'The connection to the server broke before it said how the transfer ended. Ask the receiver whether the file arrived, or send it again.',
  )
}
