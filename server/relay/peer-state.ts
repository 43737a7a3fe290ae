import { carrierOf } from '../node/linger.js'
import type { ConnectionPort } from '../node/ports.js'
import { descriptorOf } from '../node/socket-inside.js'
import { CallError, type Libc } from './splice/libc.js'

/** The states of TCP in which our FIN is out and not acknowledged: FIN_WAIT1, LAST_ACK, CLOSING. */
const FIN_UNDER_WAY = [4, 9, 11]

/** With fewer bytes unread there is room for more: a first window has 64 KiB. */
const OPEN_WINDOW_BYTES = 32 * 1024

const ESTABLISHED = 1
const CLOSED = 7

/** What the kernel knows of one connection whose peer has closed its half. */
export interface Acknowledgement {
  /**
   * Whether the peer's kernel has taken every byte that was written to it. Of a peer that closed altogether before
   * that, it never will: what comes after such an end is answered by a reset (RFC 9293, 3.6.1).
   */
  state(): 'whole' | 'under way' | 'lost'
  /** The connection can be closed from here on. Called once. */
  close(): void
}

/** Of a receiver of which nothing is left to be asked. */
const ALL_ACKNOWLEDGED: Acknowledgement = { state: () => 'whole', close: () => undefined }

/** Asks the kernel, where that can be asked. */
export class PeerStates {
  readonly #libc: Libc

  constructor(libc: Libc) {
    this.#libc = libc
  }

  /** Undefined where it cannot be asked: of what is no TCP connection, or is closed, or when descriptors have run out. */
  of(connection: ConnectionPort): Acknowledgement | undefined {
    const fd = descriptorOf(carrierOf(connection))
    if (fd === undefined) return undefined
    try {
      // Mostly it has everything by then, our own end as well; and there will be no more to have.
      if (connection.writableFinished && this.#libc.unacknowledged(fd) === 0) return ALL_ACKNOWLEDGED
      // What is no TCP connection has no such state, which is an error.
      this.#libc.tcpState(fd)
      // Of our own: Node closes the other one when both halves are closed.
      const own = this.#libc.duplicate(fd)
      return this.#asked(own)
    } catch (error) {
      if (error instanceof CallError) return undefined
      throw error
    }
  }

  /**
   * True where this peer's end would have come through, and has not: while its bytes fill our window, the end waits
   * behind them. Undefined where the kernel cannot be asked.
   */
  isThere(connection: ConnectionPort): boolean | undefined {
    const fd = descriptorOf(carrierOf(connection))
    if (fd === undefined) return undefined
    try {
      // An error, as above.
      return this.#libc.tcpState(fd) === ESTABLISHED && this.#libc.unread(fd) < OPEN_WINDOW_BYTES
    } catch (error) {
      if (error instanceof CallError) return undefined
      throw error
    }
  }

  #asked(fd: number): Acknowledgement {
    const libc = this.#libc
    return {
      state: () => {
        const tcpState = libc.tcpState(fd)
        const own = FIN_UNDER_WAY.includes(tcpState) ? 1 : 0
        if (libc.unacknowledged(fd) <= own) return 'whole'
        return tcpState === CLOSED ? 'lost' : 'under way'
      },
      close: () => libc.close(fd),
    }
  }
}
