import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  encodeStatus,
  PASS_THROUGH_HEADERS,
  type ProgressEvent,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  type StatusForm,
  type TerminalEvent,
} from '../shared/index.js'
import type { Cors } from './cors.js'
import type { Beating, Heartbeats } from './heartbeats.js'
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

/** Whoever can say where it is now: a socket. */
export interface StatusSource {
  state(): StatusEvent
}

/** How one status stream is written. */
export interface StatusStyle {
  readonly form: StatusForm
  /** The text of an event, where the embedder speaks for itself; undefined leaves it to the built-in words. */
  readonly render: ((event: StatusEvent) => string | undefined) | undefined
  readonly cors: Cors
}

/** The form that a request asks for: NDJSON for programs, server-sent events for browsers, text for people. */
export function requestedForm({ headers }: IncomingMessage): StatusForm {
  const accept = headers.accept ?? ''
  if (/application\/(?:x-)?ndjson/i.test(accept)) return 'ndjson'
  return /text\/event-stream/i.test(accept) ? 'sse' : 'text'
}

/**
 * The status stream as the body of a response: the early response of a sender, or an upload resource's events.
 * It owns that response, and the timer behind the progress; for its heartbeat it is swept with all the others.
 */
export class StatusBody implements StatusSink, Beating {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #style: StatusStyle
  readonly #heartbeats: Heartbeats
  readonly #source: StatusSource
  #progress: NodeJS.Timeout | undefined

  /** While nothing else is to be told, the state of `source` is its sign of life, as often as `heartbeats` says. */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    style: StatusStyle,
    heartbeats: Heartbeats,
    source: StatusSource,
  ) {
    this.#request = request
    this.#response = response
    this.#style = style
    this.#heartbeats = heartbeats
    this.#source = source
  }

  /** Begins the response: the head and the first event, then the signs of life. */
  open(status: 200 | 201, opened: Extract<StatusEvent, { event: 'opened' }>): void {
    // In one write, but as two strings: from a head that left with other words, Node would keep its every piece.
    this.#response.cork()
    this.#response.writeHead(status, {
      ...this.#style.cors.headers(this.#request),
      ...PASS_THROUGH_HEADERS,
      ...(status === 201 && { Location: opened.url }),
      'Content-Type': STATUS_MEDIA_TYPES[this.#style.form],
    })
    this.#response.flushHeaders()
    this.send(opened)
    this.#response.uncork()
    // Only writing to a stalled sender tells whether it is still there.
    this.#heartbeats.start(this)
  }

  beat(): void {
    if (!this.#isFull()) this.send(this.#source.state())
  }

  send(event: StatusEvent): void {
    if (event.event === 'connected') this.#heartbeats.stop(this)
    this.#response.write(this.#encode(event))
  }

  follow(progress: () => ProgressEvent): void {
    this.#stopTimers()
    let last = progress()
    this.send(last)
    this.#progress = setInterval(() => {
      const current = progress()
      if (current.bytes === last.bytes || this.#isFull()) return
      last = current
      this.send(current)
    }, PROGRESS_INTERVAL_MS[this.#style.form])
  }

  /**
   * A failure must not end like a success (protocol, chapter 4): its line is followed by a half-close without
   * the last chunk, so that curl prints the line and exits with 18.
   */
  conclude(event: TerminalEvent): void {
    this.#stopTimers()
    if (this.#isGone()) return
    if (event.event === 'delivered') this.#response.end(this.#encode(event))
    else this.#breakOff(this.#encode(event))
  }

  release(): void {
    this.#stopTimers()
    if (!this.#isGone()) this.#breakOff('')
  }

  /** A sender that does not read its status gets its verdict, not a growing heap of old news. */
  #isFull(): boolean {
    return this.#response.writableNeedDrain
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

  #stopTimers(): void {
    this.#heartbeats.stop(this)
    clearInterval(this.#progress)
  }
}

/** The embedder's words in the form that every reader relies on: the URL alone in line one, `# ` before the rest. */
function asStatusText(event: StatusEvent, words: string): string {
  const lines = words.split(/\r?\n/).filter((line) => line !== '')
  const marked = lines.map((line) => (line.startsWith('# ') ? `${line}\n` : `# ${line}\n`)).join('')
  return event.event === 'opened' ? `${event.url}\n${marked}` : marked
}
