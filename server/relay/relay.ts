import type { IncomingMessage } from 'node:http'
import type { ConnectionPort, ResponsePort } from '../node/ports.js'
import { descriptorOf } from '../node/socket-inside.js'
import { probeRawBody } from './gears/probe.js'
import { GEARS, type Gear } from './gears/pump.js'
import { RawBody } from './gears/raw-body.js'
import { type Acknowledgement, type MarkedAcknowledgement, PeerStates } from './peer-state.js'
import { loadLibc } from './splice/libc.js'
import { createSplicer, type Splicer } from './splice/splicer.js'

/** What `relay` may be set to: every gear that works here, or one gear and those below it. */
export const RELAY_MODES = ['auto', ...GEARS] as const
export type RelayMode = (typeof RELAY_MODES)[number]

/** A shorter body costs less by Node's parser, which reads about this much ahead anyway. */
const MIN_RAW_BYTES = 16 * 1024

/**
 * The same over TLS. A connection that serves one request alone costs the next request a handshake of a millisecond,
 * which is what this many bytes save.
 */
const MIN_RAW_TLS_BYTES = 4 * 1024 * 1024

/** For a shorter body, the thread would be woken for a read and a write. */
const MIN_SPLICED_BYTES = 1024 * 1024

/** The gears of one service: finds those that work on this machine, and the one that suits a transfer. */
export class Relay {
  readonly mode: RelayMode
  #probing: Promise<void> | undefined
  #takesRaw = false
  #isStreamsOnly = false
  #splicer: Splicer | undefined
  #peers: PeerStates | undefined
  /** Why a gear that was asked for is missing. */
  readonly #missing = new Map<Gear, string>()

  constructor(mode: RelayMode) {
    this.mode = mode
  }

  /** The least costly gear that works; `streams` until `ready` is done. */
  get gear(): Gear {
    if (this.#isStreamsOnly) return 'streams'
    if (this.#splicer !== undefined) return 'splice'
    return this.#takesRaw ? 'sockets' : 'streams'
  }

  /** Why no better gear works; undefined if every gear that was asked for does. */
  get why(): string | undefined {
    return [...this.#missing].map(([gear, reason]) => `no ${gear}: ${reason}`).join('; ') || undefined
  }

  /**
   * Tries each gear over a connection from this machine to itself; once, however often it is called. Until a gear has
   * passed, and if it fails, transfers use the gear below.
   */
  ready(): Promise<void> {
    this.#probing ??= this.#probe()
    return this.#probing
  }

  /**
   * The body of a request as `RawBody.take` returns it; undefined if Node's parser must read it. With `onlyWay` it is
   * read in that way: its chunks can't go to the receiver as they are.
   */
  take(request: IncomingMessage, broken: (detail: string) => void, onlyWay?: 'stream'): RawBody | undefined {
    const length = request.headers['content-length']
    const isTls = 'encrypted' in request.socket
    const least = this.#least(isTls ? MIN_RAW_TLS_BYTES : MIN_RAW_BYTES)
    if (length !== undefined && Number(length) < least) return undefined
    // For an embedded service: a server of our own has called it before it listens.
    void this.ready()
    const way = this.#takesRaw && !this.#isStreamsOnly && !isTls ? 'buffer' : 'stream'
    return RawBody.take(request, broken, onlyWay ?? way)
  }

  /** Moves this body to this receiver in the kernel; undefined if that can't be done, or doesn't pay. */
  splicerFor({ contentLength }: RawBody, { req: receiverRequest }: ResponsePort): Splicer | undefined {
    return this.splicerTo(contentLength, receiverRequest.socket)
  }

  /** Moves so many bytes to this connection in the kernel, if that can be done and pays; so must be asked of the source. */
  splicerTo(bytes: number | undefined, connection: ConnectionPort): Splicer | undefined {
    const isLong = bytes !== undefined && bytes >= this.#least(MIN_SPLICED_BYTES)
    const isWell = this.#splicer?.failure() === undefined
    return isLong && isPlain(connection) && isWell ? this.#splicer : undefined
  }

  /** With `--relay GEAR`, every transfer that can use that gear does, however short. */
  #least(bytes: number): number {
    return this.mode === 'auto' ? bytes : 0
  }

  /**
   * Uses the gear `streams` alone from now on. No other gear can write to a receiver by HTTP/2, and the receiver isn't
   * known yet when a sender's body is taken.
   */
  goByStreamsOnly(): void {
    this.#isStreamsOnly = true
    this.#missing.set('sockets', 'there is TLS')
  }

  /**
   * Asks the kernel about a receiver that has closed its half; undefined if it can't be asked. Then only the order in
   * which the two ends came can decide.
   */
  acknowledgementOf(receiverConnection: ConnectionPort): Acknowledgement | undefined {
    return this.#peers?.of(receiverConnection)
  }

  /** See `PeerStates.below`. */
  acknowledgementBelow(connection: ConnectionPort): MarkedAcknowledgement | undefined {
    return this.#peers?.below(connection)
  }

  /** See `PeerStates.isReset`. Bound, so that a connection can have it. */
  readonly isReset = (connection: ConnectionPort): boolean => this.#peers?.isReset(connection) === true

  /** See `PeerStates.resetIfKilled`. Call it again, with false, before this connection ends as it should. */
  resetIfKilled(connection: ConnectionPort, isOn: boolean): void {
    this.#peers?.resetIfKilled(connection, isOn)
  }

  /** True if this sender has not left, and the kernel would know. */
  isSenderThere(senderConnection: ConnectionPort): boolean {
    return !senderConnection.destroyed && this.#peers?.isThere(senderConnection) === true
  }

  /** Ends the splicing thread. */
  async close(): Promise<void> {
    await this.#probing
    await this.#splicer?.close()
    this.#splicer = undefined
  }

  async #probe(): Promise<void> {
    const libc = process.platform === 'linux' ? await loadLibc().catch(() => undefined) : undefined
    if (libc !== undefined) this.#peers = new PeerStates(libc)
    if (this.mode === 'streams') return
    const trouble = await probeRawBody()
    if (trouble !== undefined) {
      this.#missing.set('sockets', trouble)
      return
    }
    this.#takesRaw = true
    if (this.mode === 'sockets') return
    try {
      this.#splicer = await createSplicer()
    } catch (error) {
      this.#missing.set('splice', error instanceof Error ? error.message : String(error))
    }
  }
}

/** True for a TCP connection whose bytes the kernel can move as they are. */
export function isPlain(connection: ConnectionPort): boolean {
  return !('encrypted' in connection) && descriptorOf(connection) !== undefined
}
