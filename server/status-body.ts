import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  CORS_HEADERS,
  encodeStatus,
  isTerminal,
  PASS_THROUGH_HEADERS,
  type ProgressEvent,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  type StatusForm,
  type TerminalEvent,
} from '../shared/index.js'
import { drainThenDestroy } from './linger.js'

/** Programs draw a bar from the events; people read lines. */
const PROGRESS_INTERVAL_MS: Readonly<Record<StatusForm, number>> = { ndjson: 250, sse: 250, text: 5000 }

/** Whoever is told how a socket fares. */
export interface StatusSink {
  /** News; the verdict comes by `conclude`. */
  send(event: StatusEvent): void
  /** Bytes move: `progress` says how far it is, whenever it is asked. */
  follow(progress: () => ProgressEvent): void
  /** The verdict, once; it ends the sink. */
  conclude(event: TerminalEvent): void
  /** The sender goes on by another request: ends the sink without a verdict. */
  release(): void
}

/** How one status stream is written. */
export interface StatusStyle {
  readonly form: StatusForm
  /** The text of an event, where the embedder speaks for itself; undefined leaves it to the built-in words. */
  readonly render: ((event: StatusEvent) => string | undefined) | undefined
}

/** The form that a request asks for: NDJSON for programs, server-sent events for browsers, text for people. */
export function requestedForm({ headers }: IncomingMessage): StatusForm {
  const accept = headers.accept ?? ''
  if (/application\/(?:x-)?ndjson/i.test(accept)) return 'ndjson'
  return /text\/event-stream/i.test(accept) ? 'sse' : 'text'
}

/**
 * The status stream as the body of a response: the early response of a sender, or an upload resource's events.
 * It owns that response, and the timer behind the heartbeat and the progress.
 */
export class StatusBody implements StatusSink {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #style: StatusStyle
  #timer: NodeJS.Timeout | undefined

  constructor(request: IncomingMessage, response: ServerResponse, style: StatusStyle) {
    this.#request = request
    this.#response = response
    this.#style = style
  }

  /** Begins the response: the head, the first event, then `state` as a sign of life every `heartbeatMs`. */
  open(
    status: 200 | 201,
    opened: Extract<StatusEvent, { event: 'opened' }>,
    state: () => StatusEvent,
    heartbeatMs: number,
  ): void {
    this.#response.writeHead(status, {
      ...CORS_HEADERS,
      ...PASS_THROUGH_HEADERS,
      ...(status === 201 && { Location: opened.url }),
      'Content-Type': STATUS_MEDIA_TYPES[this.#style.form],
    })
    this.send(opened)
    // Only writing to a stalled sender tells whether it is still there.
    this.#every(heartbeatMs, state)
  }

  send(event: StatusEvent): void {
    if (event.event === 'connected') clearInterval(this.#timer)
    this.#response.write(this.#encode(event))
  }

  follow(progress: () => ProgressEvent): void {
    clearInterval(this.#timer)
    let last = progress()
    this.send(last)
    this.#every(PROGRESS_INTERVAL_MS[this.#style.form], () => {
      const current = progress()
      if (current.bytes === last.bytes) return undefined
      last = current
      return current
    })
  }

  /**
   * A failure must not end like a success (protocol, chapter 4): its line is followed by a half-close without
   * the last chunk, so that curl prints the line and exits with 18.
   */
  conclude(event: TerminalEvent): void {
    clearInterval(this.#timer)
    if (this.#isGone()) return
    if (event.event === 'delivered') this.#response.end(this.#encode(event))
    else this.#breakOff(this.#encode(event))
  }

  release(): void {
    clearInterval(this.#timer)
    if (!this.#isGone()) this.#breakOff('')
  }

  #isGone(): boolean {
    return this.#response.destroyed || this.#request.socket.destroyed
  }

  #breakOff(lastWords: string): void {
    const connection = this.#request.socket
    // Node may keep the line in the response until the next tick: our half is closed when it is out.
    if (lastWords === '') connection.end()
    else this.#response.write(lastWords, () => connection.end())
    this.#request.resume()
    drainThenDestroy(connection)
  }

  #encode(event: StatusEvent): string {
    const { form, render } = this.#style
    const words = form === 'text' ? render?.(event) : undefined
    return words === undefined ? encodeStatus(event, form) : asStatusText(event, words)
  }

  #every(intervalMs: number, event: () => StatusEvent | undefined): void {
    this.#timer = setInterval(() => {
      // A sender that does not read its status gets its verdict, not a growing heap of old news.
      const next = this.#response.writableNeedDrain ? undefined : event()
      if (next !== undefined && !isTerminal(next)) this.send(next)
    }, intervalMs)
  }
}

/** The embedder's words in the form that every reader relies on: the URL alone in line one, `# ` before the rest. */
function asStatusText(event: StatusEvent, words: string): string {
  const lines = words.split(/\r?\n/).filter((line) => line !== '')
  const marked = lines.map((line) => (line.startsWith('# ') ? `${line}\n` : `# ${line}\n`)).join('')
  return event.event === 'opened' ? `${event.url}\n${marked}` : marked
}
