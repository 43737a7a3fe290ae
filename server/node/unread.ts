import type { Socket } from 'node:net'
import { Attachment } from './attachment.js'
import type { Entry } from './entry.js'
import type { ResponsePort } from './ports.js'

/** How long a peer may take to read a whole answer, unless `--stall-timeout` is shorter. */
const UNREAD_MS = 30_000

/** How often within that time the connections are checked. */
const LOOKS = 6

/**
 * How long a peer may leave a complete answer unread: a page, a refusal, a verdict. `stallTimeoutMs` is for transfers,
 * and 0 lets one stall forever; an answer always has a limit. A waiting sender may leave its status unread as long as it
 * waits.
 */
export function unreadMs(stallTimeoutMs: number): number {
  return stallTimeoutMs === 0 ? UNREAD_MS : Math.min(stallTimeoutMs, UNREAD_MS)
}

/** Calls `look` often enough for a limit of `limitMs`. Returns a function that stops it. */
export function lookRegularly(limitMs: number, look: () => void): () => void {
  const timer = setInterval(look, Math.ceil(limitMs / LOOKS)).unref()
  return () => clearInterval(timer)
}

/**
 * How many requests of a connection may wait for the answers before theirs. Node reads 64 KiB at a time, and makes a
 * response for each of the thousands of requests that fit in there: some 12 MiB. No known client sends this many ahead.
 */
const MAX_PIPELINED = 32

/** A connection, how many bytes it had to write at the last look, and since when it has been that many. */
interface Watched extends Entry<Socket> {
  bytes: number
  sinceMs: number
}

/**
 * Closes connections of HTTP/1.1 whose peer reads nothing. Usually the kernel takes an answer at once, and Node closes
 * the connection if no request follows. But a client that asks again and again, and never reads, fills the kernel's
 * buffer. It would hold its connection forever, with every answer that it has asked for.
 */
export class UnreadConnections {
  readonly #limitMs: number
  readonly #watched = new Set<Watched>()
  /** The current response of each connection: not one that was asked for before its turn. */
  readonly #current = new Attachment<Socket, ResponsePort>('current response')
  /** How many responses wait behind the current one. */
  readonly #pipelined = new Attachment<Socket, number>('pipelined requests')

  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /** Watches a new connection until it closes. */
  watch(connection: Socket): void {
    const watched: Watched = { member: connection, bytes: 0, sinceMs: 0 }
    this.#watched.add(watched)
    connection.once('close', () => {
      watched.member = undefined
      this.#watched.delete(watched)
    })
  }

  /** A request has come for `response` to answer. Returns false, and closes the connection, if it is one too many. */
  asked(connection: Socket, response: ResponsePort): boolean {
    if (response.socket !== null) {
      this.#current.set(connection, response)
      return true
    }
    // It waits for the one ahead of it. It can't be a transfer: see `refusePipelined`.
    const waiting = this.#count(connection, 1)
    if (waiting > MAX_PIPELINED) {
      connection.destroy()
      return false
    }
    response.once('close', () => this.#count(connection, -1))
    return true
  }

  /** Closes the connections whose time is over. */
  look(): void {
    const nowMs = performance.now()
    for (const watched of this.#watched) {
      const { member: connection } = watched
      if (connection === undefined) continue
      const bytes = this.#isAnswered(connection) ? connection.writableLength : 0
      if (bytes !== watched.bytes) Object.assign(watched, { bytes, sinceMs: nowMs })
      else if (bytes > 0 && nowMs - watched.sinceMs >= this.#limitMs) connection.destroy()
    }
  }

  #count(connection: Socket, more: number): number {
    const waiting = (this.#pipelined.get(connection) ?? 0) + more
    this.#pipelined.set(connection, waiting)
    return waiting
  }

  /** True if the current answer is complete. A transfer waits for its own end. */
  #isAnswered(connection: Socket): boolean {
    const current = this.#current.get(connection)
    if (current === undefined || current.writableFinished) return true
    return current.writableEnded && current.listenerCount('timeout') === 0
  }
}
