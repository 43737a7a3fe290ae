import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  CORS_HEADERS,
  encodeStatus,
  PASS_THROUGH_HEADERS,
  type ProgressEvent,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  type StatusForm,
  type TerminalEvent,
} from '../shared/index.js'
import { drainThenDestroy } from './linger.js'

/** Programs draw a bar from the events; people read lines. */
const PROGRESS_INTERVAL_MS: Readonly<Record<StatusForm, number>> = { ndjson: 250, text: 5000 }

/**
 * The status stream: the body of the early response. It owns the sender's response and the timer behind the
 * heartbeat and the progress. One call a change of the socket's phase: `open`, `follow`, `conclude`.
 */
export class StatusBody {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #form: StatusForm
  #timer: NodeJS.Timeout | undefined

  constructor(senderRequest: IncomingMessage, senderResponse: ServerResponse) {
    this.#request = senderRequest
    this.#response = senderResponse
    this.#form = /application\/(?:x-)?ndjson/i.test(senderRequest.headers.accept ?? '') ? 'ndjson' : 'text'
  }

  /** Begins the response with the download URL, then gives a sign of life every `heartbeatMs`. */
  open(opened: Extract<StatusEvent, { event: 'opened' }>, heartbeatMs: number): void {
    this.#response.writeHead(201, {
      ...CORS_HEADERS,
      ...PASS_THROUGH_HEADERS,
      Location: opened.url,
      'Content-Type': STATUS_MEDIA_TYPES[this.#form],
    })
    this.#write(opened)
    const expiresAtMs = Date.parse(opened.expires)
    this.#every(heartbeatMs, () => {
      const secondsLeft = Math.max(0, Math.round((expiresAtMs - Date.now()) / 1000))
      // Only writing to a stalled sender tells whether it is still there.
      return { event: 'waiting', secondsLeft }
    })
  }

  /** A receiver came. */
  connected(): void {
    clearInterval(this.#timer)
    this.#write({ event: 'connected' })
  }

  /** Reports how far it is, now and whenever that has changed. */
  follow(progress: () => ProgressEvent): void {
    let last = progress()
    this.#write(last)
    this.#every(PROGRESS_INTERVAL_MS[this.#form], () => {
      const current = progress()
      if (current.bytes === last.bytes) return undefined
      last = current
      return current
    })
  }

  /**
   * The verdict, once. A failure must not end like a success (protocol, chapter 4): its line is followed by a
   * half-close without the last chunk, so that curl prints the line and exits with 18.
   */
  conclude(event: TerminalEvent): void {
    clearInterval(this.#timer)
    const connection = this.#request.socket
    if (this.#response.destroyed || connection.destroyed) return
    if (event.event === 'delivered') {
      this.#response.end(encodeStatus(event, this.#form))
      return
    }
    // Node may keep the line in the response until the next tick: our half is closed when it is out.
    this.#response.write(encodeStatus(event, this.#form), () => connection.end())
    this.#request.resume()
    drainThenDestroy(connection)
  }

  #write(event: StatusEvent): void {
    this.#response.write(encodeStatus(event, this.#form))
  }

  #every(intervalMs: number, event: () => StatusEvent | undefined): void {
    this.#timer = setInterval(() => {
      // A sender that does not read its status gets its verdict, not a growing heap of old news.
      const next = this.#response.writableNeedDrain ? undefined : event()
      if (next !== undefined) this.#write(next)
    }, intervalMs)
  }
}
