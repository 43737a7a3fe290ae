import type { IncomingMessage } from 'node:http'
import {
  EssError,
  encodeStatus,
  fromProblem,
  PASS_THROUGH_HEADERS,
  type RewindEvent,
  type TerminalEvent,
} from '../../shared/index.js'
import type { ResponsePort } from '../node/ports.js'
import type { Cors } from './cors.js'
import { removeForeignFields } from './foreign-fields.js'
import { orReset, trySendProblem } from './problem-response.js'
import type { StatusSink } from './status-body.js'

/**
 * The answer to an upload into a reservation: nothing until the end, then the verdict in the status code. It's for
 * clients that can't read a response while they upload.
 */
export class FinalAnswer implements StatusSink {
  readonly #request: IncomingMessage
  readonly #response: ResponsePort
  readonly #cors: Cors

  constructor(request: IncomingMessage, response: ResponsePort, cors: Cors) {
    this.#request = request
    this.#response = response
    this.#cors = cors
  }

  send(): void {
    // An interim response would confuse the very clients this is for. They can follow the events at their own URL.
  }

  follow(): void {
    // The same as for `send`.
  }

  probe(): boolean {
    // Nothing may be written before the end, for the same reason.
    return false
  }

  conclude(event: TerminalEvent): void {
    if (this.#isAnswered()) return
    if (event.event === 'failed') {
      trySendProblem(
        this.#request,
        this.#response,
        this.#cors,
        fromProblem(event.problem, 'internal-error') ?? new EssError('internal-error'),
      )
      return
    }
    const wantsJson = /application\/(?:x-nd|problem\+)?json/i.test(this.#request.headers.accept ?? '')
    const body = encodeStatus(event, wantsJson ? 'ndjson' : 'text')
    orReset(this.#request, () => {
      removeForeignFields(this.#response)
      this.#response.writeHead(200, {
        ...this.#cors.headers(this.#request),
        ...PASS_THROUGH_HEADERS,
        // A client of draft-ietf-httpbis-resumable-upload looks at these (section 4.4).
        ...(this.#request.method === 'PATCH' && { 'Upload-Offset': event.bytes, 'Upload-Complete': '?1' }),
        'Content-Type': wantsJson ? 'application/json' : 'text/plain; charset=utf-8',
        'Content-Length': Buffer.byteLength(body),
      })
      this.#response.end(body)
    })
  }

  release(): void {
    this.#request.socket.destroy()
  }

  redirect({ offset, upload }: RewindEvent): void {
    if (this.#isAnswered()) return
    trySendProblem(this.#request, this.#response, this.#cors, rewound(offset, upload))
  }

  move(hadReceiver: boolean): void {
    if (this.#isAnswered()) return
    // The sender's next request is for another node.
    this.#response.shouldKeepAlive = false
    trySendProblem(this.#request, this.#response, this.#cors, moved(hadReceiver))
  }

  endPiece(offset: number): void {
    if (this.#isAnswered()) return
    orReset(this.#request, () => {
      removeForeignFields(this.#response)
      this.#response.writeHead(204, {
        ...this.#cors.headers(this.#request),
        ...PASS_THROUGH_HEADERS,
        'Upload-Offset': offset,
        'Upload-Complete': '?0',
      })
      this.#response.end()
    })
  }

  /** A host that wouldn't wait may have answered already. */
  #isAnswered(): boolean {
    return this.#response.destroyed || this.#response.headersSent || this.#request.socket.destroyed
  }
}

/** The answer at an upload resource that takes no bytes any more, because the receiver needs earlier ones. */
export function rewound(offset: number, upload: string): EssError {
  return new EssError(
    'rewound',
    `The receiver came back and needs the file from byte ${offset} on. Send it to ${upload}.`,
    { fields: { 'Upload-Offset': String(offset), Location: upload } },
  )
}

/** The answer to an upload that goes on at another node. Its sender has read no event, and has to say there who had come. */
function moved(hadReceiver: boolean): EssError {
  return new EssError(
    'moved',
    'This part of the server stops, and the transfer can go on at another one. Open the link there again: send POST to this address with Ess-Reopen.',
    { retryAfter: 1, ...(hadReceiver && { fields: { 'Ess-Connected': '?1' } }) },
  )
}
