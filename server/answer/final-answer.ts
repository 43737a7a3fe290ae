import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  EssError,
  encodeStatus,
  fromProblem,
  PASS_THROUGH_HEADERS,
  type TerminalEvent,
} from '../../shared/index.js'
import type { Cors } from './cors.js'
import { sendProblem } from './problem-response.js'
import type { StatusSink } from './status-body.js'

/**
 * The answer to an upload by reservation: nothing until the end, then the verdict in the status code. It is for
 * those who cannot read a response before their request is out.
 */
export class FinalAnswer implements StatusSink {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #cors: Cors

  constructor(request: IncomingMessage, response: ServerResponse, cors: Cors) {
    this.#request = request
    this.#response = response
    this.#cors = cors
  }

  send(): void {
    // An interim response would confuse the very clients this is for; the news is at the events' own URL.
  }

  follow(): void {
    // The same.
  }

  probe(): boolean {
    // Not before the end, for the same reason.
    return false
  }

  conclude(event: TerminalEvent): void {
    // A host that wouldn't wait for us may have answered it.
    if (this.#response.destroyed || this.#response.headersSent || this.#request.socket.destroyed) return
    if (event.event === 'failed') {
      sendProblem(
        this.#request,
        this.#response,
        this.#cors,
        fromProblem(event.problem, 'internal-error') ?? new EssError('internal-error'),
      )
      return
    }
    const wantsJson = /application\/(?:x-nd|problem\+)?json/i.test(this.#request.headers.accept ?? '')
    const body = encodeStatus(event, wantsJson ? 'ndjson' : 'text')
    this.#response.writeHead(200, {
      ...this.#cors.headers(this.#request),
      ...PASS_THROUGH_HEADERS,
      'Content-Type': wantsJson ? 'application/json' : 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
    })
    this.#response.end(body)
  }

  release(): void {
    this.#request.socket.destroy()
  }
}
