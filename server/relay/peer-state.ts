import { carrierOf } from '../node/linger.js'
import type { ConnectionPort } from '../node/ports.js'
import { descriptorOf } from '../node/socket-inside.js'
import { CallError, type Libc } from './splice/libc.js'

/** The TCP states in which our FIN is out and not acknowledged: FIN_WAIT1, LAST_ACK, CLOSING. */
const FIN_UNDER_WAY = [4, 9, 11]

/** With fewer unread bytes than this, our window is open: a first window has 64 KiB. */
const OPEN_WINDOW_BYTES = 32 * 1024

const ESTABLISHED = 1
const CLOSED = 7

/** Asks the kernel about one connection whose peer has closed its half. */
export interface Acknowledgement {
  /**
   * Says whether the peer's kernel has taken every byte that was written to it. If the peer closed both halves before
   * that, its kernel never will: it answers what comes after such an end with a reset (RFC 9293, 3.6.1).
   */
  state(): 'whole' | 'under way' | 'lost'
  /** Lets go of the connection. Call it once. */
  close(): void
}

/** The same of a connection that carries more than one answer: only what was written before `mark` counts. */
export interface MarkedAcknowledgement extends Acknowledgement {
  /** Everything that counts is written. */
  mark(): void
}

/** For a receiver about which nothing is left to ask. */
const ALL_ACKNOWLEDGED: Acknowledgement = { state: () => 'whole', close: () => undefined }

/** Asks the kernel about peers, as far as it can be asked. */
export class PeerStates {
  readonly #libc: Libc

  constructor(libc: Libc) {
    this.#libc = libc
  }

  /** Undefined if the kernel can't be asked: no TCP connection, a closed one, or no descriptor left. */
  of(connection: ConnectionPort): Acknowledgement | undefined {
    const fd = descriptorOf(carrierOf(connection))
    if (fd === undefined) return undefined
    try {
      // Usually it has everything by then, including our end, and no more will come.
      if (connection.writableFinished && this.#libc.unacknowledged(fd) === 0) return ALL_ACKNOWLEDGED
      // Throws if it isn't a TCP connection.
      this.#libc.tcpState(fd)
      // A descriptor of our own: Node closes the other one when both halves are closed.
      const own = this.#libc.duplicate(fd)
      return this.#asked(own)
    } catch (error) {
      if (error instanceof CallError) return undefined
      throw error
    }
  }

  /**
   * The same of a connection that carries other answers too, asked while it is open. Undefined if the kernel can't be
   * asked, or doesn't count.
   */
  below(connection: ConnectionPort): MarkedAcknowledgement | undefined {
    const fd = descriptorOf(carrierOf(connection))
    if (fd === undefined) return undefined
    const libc = this.#libc
    try {
      // A handshake was acknowledged, so only a kernel that doesn't count says so.
      if (libc.acknowledged(fd) === 0) return undefined
      const own = libc.duplicate(fd)
      let end: number | undefined
      const mark = () => {
        end ??= libc.acknowledged(own) + libc.unacknowledged(own)
        return end
      }
      return {
        mark,
        state: () => {
          if (libc.acknowledged(own) >= mark()) return 'whole'
          return libc.tcpState(own) === CLOSED ? 'lost' : 'under way'
        },
        close: () => libc.close(own),
      }
    } catch (error) {
      if (error instanceof CallError) return undefined
      throw error
    }
  }

  /**
   * True if this peer has reset the connection: it is closed, though our half is open. Node may not say so: its TLS writes
   * nothing at times, and throws the kernel's error of that away.
   */
  isReset(connection: ConnectionPort): boolean {
    const fd = descriptorOf(carrierOf(connection))
    if (fd === undefined) return false
    try {
      return this.#libc.tcpState(fd) === CLOSED
    } catch (error) {
      if (error instanceof CallError) return false
      throw error
    }
  }

  /**
   * True if this peer has not closed its half, and its end could have come through: an end waits behind bytes that fill
   * our window. Undefined if the kernel can't be asked.
   */
  isThere(connection: ConnectionPort): boolean | undefined {
    const fd = descriptorOf(carrierOf(connection))
    if (fd === undefined) return undefined
    try {
      // Throws, as above.
      return this.#libc.tcpState(fd) === ESTABLISHED && this.#libc.unread(fd) < OPEN_WINDOW_BYTES
    } catch (error) {
      if (error instanceof CallError) return undefined
      throw error
    }
  }

  /**
   * Has the kernel reset this connection if the process is killed, or no longer. Otherwise it would end it in good order,
   * like a download that is whole. Without effect if the kernel can't be told.
   */
  resetIfKilled(connection: ConnectionPort, isOn: boolean): void {
    const fd = descriptorOf(carrierOf(connection))
    if (fd === undefined) return
    try {
      this.#libc.setResetOnClose(fd, isOn)
    } catch (error) {
      if (!(error instanceof CallError)) throw error
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
