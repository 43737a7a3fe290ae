import { constants, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'

/** How long a connection may be without a request: a browser that comes back sooner need not shake hands again. */
const IDLE_MS = 60_000

/** How long a peer may take to close a connection that we have ended. */
const FAREWELL_MS = 5000

/** How long a client may take to say that it has read our settings: until then it may send more than they allow. */
const SETTINGS_MS = 10_000

/** What one connection may have in flight to us, over all of its uploads. */
export const CONNECTION_WINDOW = 1024 * 1024

/** What an upload may have in flight that nobody reads: it shows that its sender is there; more is only memory. */
export const HELD_WINDOW = 1024

/** What an upload that flows may have at the least, however many there are. */
const LEAST_WINDOW = 64 * 1024

/**
 * One connection of HTTP/2: what all of its streams share. Their windows are its own matter as well, because Node
 * can change them for all at once only (RFC 9113, 6.9.2).
 */
export class Line {
  readonly session: ServerHttp2Session
  readonly socket: Socket
  /** Fulfilled when it is over: true where the peer has closed it in good order. */
  readonly ended: Promise<boolean>
  #streams = 0
  #uploads = 0
  #flowing = 0
  #window = HELD_WINDOW
  #idle: NodeJS.Timeout | undefined
  #isRetired = false

  /** `socket` is what the session goes over, at the very bottom of what Node tells. */
  constructor(session: ServerHttp2Session, socket: Socket) {
    this.session = session
    this.socket = socket
    session.setLocalWindowSize(CONNECTION_WINDOW)
    const overdue = setTimeout(() => {
      session.destroy(undefined, constants.NGHTTP2_SETTINGS_TIMEOUT)
    }, SETTINGS_MS)
    session.once('localSettings', () => clearTimeout(overdue))
    // The last word on the windows may have come while the one before was on its way.
    session.on('localSettings', () => this.#setWindow())
    this.#rest()
    this.ended = new Promise((resolve) => {
      let isInOrder = true
      session
        .on('error', () => {
          isInOrder = false
        })
        .on('goaway', (code) => {
          if (code !== constants.NGHTTP2_NO_ERROR) isInOrder = false
        })
        .once('close', () => {
          clearTimeout(overdue)
          clearTimeout(this.#idle)
          resolve(isInOrder)
        })
    })
  }

  /** A stream begins. Returns what to call when it is over. */
  enter(): () => void {
    clearTimeout(this.#idle)
    this.#streams++
    return () => {
      this.#streams--
      if (this.#streams > 0) return
      if (this.#isRetired) this.#part()
      else this.#rest()
    }
  }

  /** Takes no more requests; the connection ends with the last of those that are there. */
  retire(): void {
    if (this.#isRetired) return
    this.#isRetired = true
    this.session.close()
    if (this.#streams === 0) this.#part()
  }

  /** An upload begins, and is not read yet. Returns what to call when it is read, and when it is over. */
  upload(): { readonly flow: () => void; readonly end: () => void } {
    let isFlowing = false
    this.#uploads++
    return {
      flow: () => {
        if (isFlowing) return
        isFlowing = true
        this.#flowing++
        this.#setWindow()
      },
      end: () => {
        this.#uploads--
        if (isFlowing) this.#flowing--
        this.#setWindow()
      },
    }
  }

  /**
   * Asks the peer for a sign of life, and is fulfilled when that has come: then it has read whatever was written
   * before (RFC 9113, 5: frames are processed in the order in which they come). False where the connection ended.
   */
  async isRead(): Promise<boolean> {
    return await new Promise((resolve) => {
      // It throws on a session that is over, and gives false when too many are on their way.
      if (this.session.destroyed || !this.session.ping((error) => resolve(error === null))) resolve(false)
    })
  }

  #rest(): void {
    this.#idle = setTimeout(() => this.retire(), IDLE_MS).unref()
  }

  /** A peer that does not answer our end with its own would keep the connection. */
  #part(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.socket.destroy(), FAREWELL_MS).unref()
  }

  #setWindow(): void {
    const { session } = this
    const share = Math.max(LEAST_WINDOW, floorPower(CONNECTION_WINDOW / Math.max(1, this.#uploads)))
    const window = this.#flowing > 0 ? share : HELD_WINDOW
    if (window === this.#window || session.destroyed || session.closed || session.pendingSettingsAck) return
    this.#window = window
    session.settings({ initialWindowSize: window })
  }
}

/** The power of two below: with every upload that comes and goes the windows of all would change otherwise. */
function floorPower(value: number): number {
  return 2 ** Math.floor(Math.log2(value))
}
