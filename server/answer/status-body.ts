import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  encodeStatus,
  PASS_THROUGH_HEADERS,
  type ProgressEvent,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  type StatusForm,
  type TerminalEvent,
} from '../../shared/index.js'
import type { Entry } from '../node/entry.js'
import { drainThenDestroy } from '../node/linger.js'
import type { Cors } from './cors.js'
import { beginResponse, fixed } from './head.js'
import type { Beating, Heartbeat, Heartbeats } from './heartbeats.js'
import type { ProgressClock, Ticking } from './progress-clock.js'

/** The same in the head of every status stream. */
const FIXED_HEADERS = fixed(PASS_THROUGH_HEADERS)

/** Its connection may serve another request afterwards. Its chunks are made here: Node writes each in four pieces. */
const BODY = { framing: 'own chunks', closes: false } as const

const LAST_CHUNK = '0\r\n\r\n'

/** Programs draw a bar from the events, four times a second; people read a line every 5 s. */
const TICKS_PER_PROGRESS: Readonly<Record<StatusForm, number>> = { ndjson: 1, sse: 1, text: 20 }

/** How soon a peer that is gone has answered the first word: longer than any way on earth takes. */
const SECOND_WORD_MS = 1000

/** Whoever is told how a socket fares. */
export interface StatusSink {
  /**
   * News; the verdict comes by `conclude`. What `canWait` leaves with what comes next, within a quarter of a second:
   * the verdict on a short transfer is there by then, and the two are one write.
   */
  send(event: StatusEvent, canWait?: boolean): void
  /** Bytes move: from now on `progress` is asked how far it is, and whatever is new is told. */
  follow(progress: () => ProgressEvent): void
  /** The verdict, once; it ends the sink. */
  conclude(event: TerminalEvent): void
  /** Says something now, to learn from a reset whether the peer is gone; false where nothing may be said. */
  probe(): boolean
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

/** What calls on the status streams of a service: one timer each for all of them. */
export interface StatusTimers {
  readonly heartbeats: Heartbeats
  readonly progress: ProgressClock
}

/** The status stream as the body of a response, which it owns: the early response of a sender, or an upload resource's events. */
export class StatusBody implements StatusSink, Beating, Ticking {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #style: StatusStyle
  readonly #timers: StatusTimers
  readonly #source: StatusSource
  #progress: (() => ProgressEvent) | undefined
  #toldBytes = 0
  #ticks = 0
  /** What waits for what comes next. */
  #held = ''
  /** True where Node takes what is written for the body itself, and the chunks are ours to make. */
  #hasOwnChunks = false
  #heartbeat: Heartbeat | undefined
  #ticking: Entry<Ticking> | undefined
  #secondWord: NodeJS.Timeout | undefined

  /** While nothing else is to be told, the state of `source` is its sign of life, at each heartbeat. */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    style: StatusStyle,
    timers: StatusTimers,
    source: StatusSource,
  ) {
    this.#request = request
    this.#response = response
    this.#style = style
    this.#timers = timers
    this.#source = source
  }

  /** Begins the response: the head and the first event, then the signs of life. */
  open(status: 200 | 201, opened: Extract<StatusEvent, { event: 'opened' }>): void {
    // In one write, but as two strings: from a head that left with other words, Node would keep its every piece.
    this.#response.cork()
    const headers: Record<string, string | number> = { 'Content-Type': STATUS_MEDIA_TYPES[this.#style.form] }
    if (status === 201) headers['Location'] = opened.url
    const forCaller = this.#style.cors.headers(this.#request)
    this.#hasOwnChunks = beginResponse(this.#response, status, headers, [FIXED_HEADERS, forCaller], BODY)
    this.send(opened)
    this.#response.uncork()
    // Only writing to a stalled sender tells whether it is still there.
    this.#heartbeat = this.#timers.heartbeats.start(this)
  }

  beat(): void {
    if (!this.#isFull()) this.send(this.#source.state())
  }

  probe(): boolean {
    this.beat()
    // The first word brings the reset, and the second one meets it.
    this.#secondWord ??= setTimeout(() => this.beat(), SECOND_WORD_MS)
    return true
  }

  send(event: StatusEvent, canWait = false): void {
    if (event.event === 'connected') {
      this.#timers.heartbeats.stop(this.#heartbeat)
      clearTimeout(this.#secondWord)
    }
    this.#held += this.#encode(event)
    if (canWait) this.#ticking ??= this.#timers.progress.start(this)
    else this.#letGo()
  }

  follow(progress: () => ProgressEvent): void {
    this.#stopTimers()
    this.#progress = progress
    this.#toldBytes = progress().bytes
    // What is told at the beginning counts as well: the next may come when a whole interval is over.
    this.#ticks = -1
    this.#ticking = this.#timers.progress.start(this)
  }

  tick(): void {
    this.#letGo()
    if (this.#progress === undefined || ++this.#ticks % TICKS_PER_PROGRESS[this.#style.form] !== 0) return
    const current = this.#progress()
    if (this.#ticks === 0 || current.bytes === this.#toldBytes || this.#isFull()) return
    this.#toldBytes = current.bytes
    this.send(current)
  }

  /**
   * A failure must not end like a success (protocol, chapter 4): its line is followed by a half-close without
   * the last chunk, so that curl prints the line and exits with 18.
   */
  conclude(event: TerminalEvent): void {
    this.#stopTimers()
    if (this.#isGone()) return
    this.#held += this.#encode(event)
    if (event.event === 'delivered')
      this.#response.end(this.#takeHeld() + (this.#hasOwnChunks ? LAST_CHUNK : ''))
    else this.#breakOff()
  }

  release(): void {
    this.#stopTimers()
    if (!this.#isGone()) this.#breakOff()
  }

  /** A sender that does not read its status gets its verdict, not a growing heap of old news. */
  #isFull(): boolean {
    return this.#response.writableNeedDrain
  }

  #isGone(): boolean {
    return this.#response.destroyed || this.#request.socket.destroyed
  }

  #breakOff(): void {
    const connection = this.#request.socket
    const words = this.#takeHeld()
    // Node may keep the words in the response until the next tick: our half is closed when they are out.
    if (words === '') connection.end()
    else this.#response.write(words, () => connection.end())
    this.#request.resume()
    drainThenDestroy(connection)
  }

  #encode(event: StatusEvent): string {
    const { form, render } = this.#style
    const words = form === 'text' ? render?.(event) : undefined
    return words === undefined ? encodeStatus(event, form) : asStatusText(event, words)
  }

  #letGo(): void {
    const words = this.#takeHeld()
    if (words !== '') this.#response.write(words)
  }

  #takeHeld(): string {
    const words = this.#held
    this.#held = ''
    return this.#hasOwnChunks && words !== '' ? asChunk(words) : words
  }

  #stopTimers(): void {
    this.#timers.heartbeats.stop(this.#heartbeat)
    clearTimeout(this.#secondWord)
    this.#timers.progress.stop(this.#ticking)
    this.#ticking = undefined
  }
}

/** RFC 9112, 7.1. */
function asChunk(words: string): string {
  return `${Buffer.byteLength(words).toString(16)}\r\n${words}\r\n`
}

/** The embedder's words in the form that every reader relies on: the URL alone in line one, `# ` before the rest. */
function asStatusText(event: StatusEvent, words: string): string {
  const lines = words.split(/\r?\n/).filter((line) => line !== '')
  const marked = lines.map((line) => (line.startsWith('# ') ? `${line}\n` : `# ${line}\n`)).join('')
  return event.event === 'opened' ? `${event.url}\n${marked}` : marked
}
