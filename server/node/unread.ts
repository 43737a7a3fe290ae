import type { Socket } from 'node:net'
import { Attachment } from './attachment.js'
import type { Entry } from './entry.js'
import type { ResponsePort } from './ports.js'

/** How long a peer may take over a whole answer, if `--stall-timeout` does not say less. */
const UNREAD_MS = 30_000

/** So often within that time it is looked whether it is over. */
const LOOKS = 6

/**
 * How long a peer may leave an answer that is complete unread: whatever `stallTimeoutMs` says of transfers, which may be
 * for ever. It is for what we have said to the end: a page, a refusal, a verdict. A transfer has the stall timeout, and
 * a sender that waits may leave its status unread as long as it waits.
 */
export function unreadMs(stallTimeoutMs: number): number {
  return stallTimeoutMs === 0 ? UNREAD_MS : Math.min(stallTimeoutMs, UNREAD_MS)
}

/** Calls `look` often enough for a limit of `limitMs`, until the function it gives is called. */
export function lookRegularly(limitMs: number, look: () => void): () => void {
  const timer = setInterval(look, Math.ceil(limitMs / LOOKS)).unref()
  return () => clearInterval(timer)
}

/**
 * How many requests of a connection may wait for the answers before theirs. Node reads 64 KiB at a time, and asks for an
 * answer to each of the thousands of requests that fit in there: some 12 MiB. No client is known that sends so many ahead.
 */
const MAX_PIPELINED = 32

/** A connection, and how much it had to write at the last looks: since when it has been as much. */
interface Watched extends Entry<Socket> {
  bytes: number
  sinceMs: number
}

/**
 * The connections of HTTP/1.1 whose peer reads nothing. Mostly an answer is the kernel's at once, and Node closes the
 * connection when no request follows. But a client that asks again and again, and never reads, fills the kernel's
 * buffer, and would be held for ever with all that it has asked for.
 */
export class UnreadConnections {
  readonly #limitMs: number
  readonly #watched = new Set<Watched>()
  /** The response that each one is at, or has been at before those that were asked for too early. */
  readonly #current = new Attachment<Socket, ResponsePort>('current response')
  /** How many wait behind that one. */
  readonly #pipelined = new Attachment<Socket, number>('pipelined requests')

  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /** A new connection; it is forgotten when it closes. */
  watch(connection: Socket): void {
    const watched: Watched = { member: connection, bytes: 0, sinceMs: 0 }
    this.#watched.add(watched)
    connection.once('close', () => {
      watched.member = undefined
      this.#watched.delete(watched)
    })
  }

  /** A request has come that `response` is to answer. False where it is one too many, and its connection closed. */
  asked(connection: Socket, response: ResponsePort): boolean {
    if (response.socket !== null) {
      this.#current.set(connection, response)
      return true
    }
    // It waits for the one ahead of it, and is no transfer: see `refusePipelined`.
    const waiting = this.#count(connection, 1)
    if (waiting > MAX_PIPELINED) {
      connection.destroy()
      return false
    }
    response.once('close', () => this.#count(connection, -1))
    return true
  }

  /** Closes those whose time is over. */
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

  /** True when all is said; the end of a transfer is its own to wait for. */
  #isAnswered(connection: Socket): boolean {
    const current = this.#current.get(connection)
    if (current === undefined || current.writableFinished) return true
    return current.writableEnded && current.listenerCount('timeout') === 0
  }
}
