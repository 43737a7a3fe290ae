import type { IncomingMessage } from 'node:http'
import type { ConnectionPort, ResponsePort } from '../node/ports.js'
import { descriptorOf } from '../node/socket-inside.js'
import { probeRawBody } from './gears/probe.js'
import { GEARS, type Gear } from './gears/pump.js'
import { RawBody } from './gears/raw-body.js'
import { type Acknowledgement, PeerStates } from './peer-state.js'
import { loadLibc } from './splice/libc.js'
import { createSplicer, type Splicer } from './splice/splicer.js'

/** What may be asked for: everything that works here, or no more than one gear and those below it. */
export const RELAY_MODES = ['auto', ...GEARS] as const
export type RelayMode = (typeof RELAY_MODES)[number]

/** A shorter body costs less by way of Node's parser, which reads about as much ahead of it anyway. */
const MIN_RAW_BYTES = 16 * 1024

/**
 * The same by TLS, where a connection that serves but one request costs the next one its handshake: a millisecond, which
 * is what so many bytes save.
 */
const MIN_RAW_TLS_BYTES = 4 * 1024 * 1024

/** For a shorter one, a thread would be woken for a read and a write. */
const MIN_SPLICED_BYTES = 1024 * 1024

/** The gears of one service: which of them work on this machine, and which one suits a transfer. */
export class Relay {
  readonly mode: RelayMode
  #probing: Promise<void> | undefined
  #takesRaw = false
  #isStreamsOnly = false
  #splicer: Splicer | undefined
  #peers: PeerStates | undefined
  /** Why a gear that was asked for is not there. */
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

  /** Why it is no better one; undefined where none was asked for. */
  get why(): string | undefined {
    return [...this.#missing].map(([gear, reason]) => `no ${gear}: ${reason}`).join('; ') || undefined
  }

  /**
   * Tries each gear on a connection of this machine's to itself; once, however often it is called. Until then, and
   * where it fails, transfers go by the gear below.
   */
  ready(): Promise<void> {
    this.#probing ??= this.#probe()
    return this.#probing
  }

  /** The body of a request as `RawBody.take` gives it; undefined where Node's parser is to read it. */
  take(request: IncomingMessage, broken: (detail: string) => void): RawBody | undefined {
    const length = request.headers['content-length']
    const isTls = 'encrypted' in request.socket
    const least = this.#least(isTls ? MIN_RAW_TLS_BYTES : MIN_RAW_BYTES)
    if (length !== undefined && Number(length) < least) return undefined
    // For those who embed the service; a server of our own has done it before it listens.
    void this.ready()
    const way = this.#takesRaw && !this.#isStreamsOnly && !isTls ? 'buffer' : 'stream'
    return RawBody.take(request, broken, way)
  }

  /** What moves this body to this receiver in the kernel; undefined where that cannot be, or does not pay. */
  splicerFor({ contentLength }: RawBody, { req: receiverRequest }: ResponsePort): Splicer | undefined {
    const isLong = contentLength !== undefined && contentLength >= this.#least(MIN_SPLICED_BYTES)
    const { socket } = receiverRequest
    const isPlain = !('encrypted' in socket) && descriptorOf(socket) !== undefined
    const isWell = this.#splicer?.failure() === undefined
    return isLong && isPlain && isWell ? this.#splicer : undefined
  }

  /** Whoever asks for a gear by name gets it wherever it works. */
  #least(bytes: number): number {
    return this.mode === 'auto' ? bytes : 0
  }

  /**
   * From now on everything goes by streams: no other gear can write to a receiver by HTTP/2, and who will receive is
   * not known when a sender's body is taken.
   */
  goByStreamsOnly(): void {
    this.#isStreamsOnly = true
    this.#missing.set('sockets', 'there is TLS')
  }

  /**
   * What the kernel knows of a receiver that has closed its half; undefined where it cannot be asked. Without it, the
   * order in which the two ends came is all there is to go by.
   */
  acknowledgementOf(receiverConnection: ConnectionPort): Acknowledgement | undefined {
    return this.#peers?.of(receiverConnection)
  }

  /** True where this sender has not gone, and the kernel would know. */
  isSenderThere(senderConnection: ConnectionPort): boolean {
    return !senderConnection.destroyed && this.#peers?.isThere(senderConnection) === true
  }

  /** Ends what runs beside the event loop. */
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
