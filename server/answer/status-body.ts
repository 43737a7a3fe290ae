import type { IncomingMessage } from 'node:http'
import {
  encodeStatus,
  type MovedEvent,
  PASS_THROUGH_HEADERS,
  type ProgressEvent,
  type RewindEvent,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  type StatusForm,
  type TerminalEvent,
} from '../../shared/index.js'
import type { Entry } from '../node/entry.js'
import { drainThenDestroy } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import type { Cors } from './cors.js'
import { removeForeignFields } from './foreign-fields.js'
import { beginResponse, fixed } from './head.js'
import type { Beating, Heartbeat, Heartbeats } from './heartbeats.js'
import type { ProgressClock, Ticking } from './progress-clock.js'

/** Fields of every status stream. */
const FIXED_HEADERS = fixed(PASS_THROUGH_HEADERS)

/**
 * The connection may serve another request afterwards. The chunks are made here, because Node writes each in four
 * pieces.
 */
const BODY = { framing: 'own chunks', closes: false } as const

const LAST_CHUNK = '0\r\n\r\n'

/** Programs draw a bar from the events, so they get four a second; people read a line every 5 s. */
const TICKS_PER_PROGRESS: Readonly<Record<StatusForm, number>> = { ndjson: 1, sse: 1, text: 20 }

/** A peer that is gone has answered the first word within this time: longer than any round trip on earth. */
const SECOND_WORD_MS = 1000

/** The sender's way to be told about its socket. */
export interface StatusSink {
  /**
   * Tells an event; `conclude` tells the verdict. With `canWait`, the event leaves with the next one, at most a quarter
   * of a second later: a short transfer's verdict is there by then, and both are one write.
   */
  send(event: StatusEvent, canWait?: boolean): void
  /** Bytes move. From now on `progress` is asked regularly, and its event is told whenever it has changed. */
  follow(progress: () => ProgressEvent): void
  /** Tells the verdict, and ends the sink. Called once. */
  conclude(event: TerminalEvent): void
  /** Writes something now: if the peer is gone, a reset comes back. False where nothing may be written yet. */
  probe(): boolean
  /** Ends the sink without a verdict: the sender goes on with another request. */
  release(): void
  /** Ends the sink of a sender that has to go on by another request, from an earlier offset. */
  redirect(event: RewindEvent): void
  /** Ends the sink of a transfer that goes on at another node. `hadReceiver` is true if a receiver had come. */
  move(hadReceiver: boolean): void
  /** Answers a piece that was handed on whole; the next one begins at this offset. */
  endPiece(offset: number): void
}

/** Something with a state to tell: a socket. */
export interface StatusSource {
  state(): StatusEvent
}

/** How one status stream is written. */
export interface StatusStyle {
  readonly form: StatusForm
  /** The embedder's text for an event. Undefined, or an undefined result, leaves it to the built-in words. */
  readonly render: ((event: StatusEvent) => string | undefined) | undefined
  readonly cors: Cors
}

/** The timers that all status streams of one service share. */
export interface StatusTimers {
  readonly heartbeats: Heartbeats
  readonly progress: ProgressClock
}

/**
 * The status stream as the body of a response, which it owns: a sender's early response, or the events of an upload
 * resource.
 */
export class StatusBody implements StatusSink, Beating, Ticking {
  readonly #request: IncomingMessage
  readonly #response: ResponsePort
  readonly #style: StatusStyle
  readonly #timers: StatusTimers
  readonly #source: StatusSource
  #progress: (() => ProgressEvent) | undefined
  #toldBytes = 0
  #ticks = 0
  /** Text that waits to leave with the next event. */
  #held = ''
  /** True where Node writes the body as it is given, so that the chunks are ours to make. */
  #hasOwnChunks = false
  #heartbeat: Heartbeat | undefined
  #ticking: Entry<Ticking> | undefined
  #secondWord: NodeJS.Timeout | undefined

  /** While there are no events, each heartbeat tells the state of `source`. */
  constructor(
    request: IncomingMessage,
    response: ResponsePort,
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

  /** Begins the response with its head and the first event, and starts the heartbeats. */
  open(status: 200 | 201, opened: Extract<StatusEvent, { event: 'opened' }>): void {
    // One write, but two strings: if a head left in one string with other text, Node would keep all its pieces.
    this.#response.cork()
    const headers: Record<string, string | number> = { 'Content-Type': STATUS_MEDIA_TYPES[this.#style.form] }
    if (status === 201) headers['Location'] = opened.url
    const forCaller = this.#style.cors.headers(this.#request)
    removeForeignFields(this.#response)
    this.#hasOwnChunks = beginResponse(this.#response, status, headers, [FIXED_HEADERS, forCaller], BODY)
    this.send(opened)
    this.#response.uncork()
    // Only a write tells whether a stalled sender is still there.
    this.#heartbeat = this.#timers.heartbeats.start(this)
  }

  beat(): void {
    if (!this.#isFull()) this.send(this.#source.state())
  }

  probe(): boolean {
    this.beat()
    // The first write makes a peer that is gone send a reset; the second write meets it.
    this.#secondWord ??= setTimeout(() => this.beat(), SECOND_WORD_MS)
    return true
  }

  send(event: StatusEvent, canWait = false): void {
    if (event.event === 'connected' || event.event === 'resumed') {
      this.#timers.heartbeats.stop(this.#heartbeat)
      clearTimeout(this.#secondWord)
    }
    // Nothing moves, and only a write tells whether this peer is still there.
    if (event.event === 'interrupted') this.#restartHeartbeat()
    this.#held += this.#encode(event)
    if (canWait) this.#ticking ??= this.#timers.progress.start(this)
    else this.#letGo()
  }

  follow(progress: () => ProgressEvent): void {
    this.#stopTimers()
    this.#progress = progress
    this.#toldBytes = progress().bytes
    // The first report counts too: the next one comes a whole interval later.
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
   * A failure must not end like a success (protocol, chapter 4): its line is followed by a half-close without the last
   * chunk. curl then prints the line and exits with 18.
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

  redirect(event: RewindEvent): void {
    this.#sayGoodbye(event)
  }

  move(): void {
    this.#sayGoodbye({ event: 'moved' })
  }

  /** The last event of this stream, and no verdict: the stream ends cleanly. */
  #sayGoodbye(event: RewindEvent | MovedEvent): void {
    this.#stopTimers()
    if (this.#isGone()) return
    const connection = this.#request.socket
    this.#held += this.#encode(event)
    // The rest of the body is of no use, and may be as long as the file.
    this.#response.once('finish', () => {
      connection.end()
      drainThenDestroy(connection)
    })
    this.#response.end(this.#takeHeld() + (this.#hasOwnChunks ? LAST_CHUNK : ''))
    this.#request.resume()
  }

  /** Only an upload resource takes pieces, and it answers them otherwise. */
  endPiece(): void {}

  #restartHeartbeat(): void {
    this.#timers.heartbeats.stop(this.#heartbeat)
    this.#heartbeat = this.#timers.heartbeats.start(this)
  }

  /** True for a sender that doesn't read its status. It gets the verdict, and no growing heap of old events. */
  #isFull(): boolean {
    return this.#response.writableNeedDrain
  }

  #isGone(): boolean {
    return this.#response.destroyed || this.#request.socket.destroyed
  }

  #breakOff(): void {
    const connection = this.#request.socket
    const words = this.#takeHeld()
    // Node may hold the text until the next tick, so our half is closed only once it is out.
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

/** The embedder's text in the form that readers rely on: line one is the URL alone, all others begin with `# `. */
function asStatusText(event: StatusEvent, words: string): string {
  const lines = words.split(/\r?\n/).filter((line) => line !== '')
  const marked = lines.map((line) => (line.startsWith('# ') ? `${line}\n` : `# ${line}\n`)).join('')
  return event.event === 'opened' ? `${event.url}\n${marked}` : marked
}
