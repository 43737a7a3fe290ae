import type { IncomingMessage } from 'node:http'
import {
  EssError,
  encodeStatus,
  fromProblem,
  PASS_THROUGH_HEADERS,
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
    // A host that wouldn't wait may have answered already.
    if (this.#response.destroyed || this.#response.headersSent || this.#request.socket.destroyed) return
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
        'Content-Type': wantsJson ? 'application/json' : 'text/plain; charset=utf-8',
        'Content-Length': Buffer.byteLength(body),
      })
      this.#response.end(body)
    })
  }

  release(): void {
    this.#request.socket.destroy()
  }
}
