import { constants, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'

/** How long a connection may be without a request. A browser that comes back sooner is spared a handshake. */
const IDLE_MS = 60_000

/** How long a peer may take to close a connection that we have ended. */
const FAREWELL_MS = 5000

/** How long a client may take to acknowledge our settings. Until then it may send more than they allow. */
const SETTINGS_MS = 10_000

/** How many bytes one connection may have in flight to us, over all of its uploads. */
export const CONNECTION_WINDOW = 1024 * 1024

/** How much an upload that isn't read may have in flight: enough to show that its sender is there. */
export const HELD_WINDOW = 1024

/** How much an upload that flows may have in flight at least, however many there are. */
const LEAST_WINDOW = 64 * 1024

/**
 * What all streams of one HTTP/2 connection share. That includes their windows, because Node can only change those of
 * all streams at once (RFC 9113, 6.9.2).
 */
export class Line {
  readonly session: ServerHttp2Session
  readonly socket: Socket
  /** Fulfilled when the connection is over: with true if the peer closed it in good order. */
  readonly ended: Promise<boolean>
  #streams = 0
  /** Requests whose answer may be a download: its end needs the session until the peer has confirmed it. */
  #asked = 0
  #uploads = 0
  #flowing = 0
  #window = HELD_WINDOW
  #idle: NodeJS.Timeout | undefined
  #isRetiring = false
  #isRetired = false

  /** `socket` carries the session: the lowest connection that Node tells of. */
  constructor(session: ServerHttp2Session, socket: Socket) {
    this.session = session
    this.socket = socket
    session.setLocalWindowSize(CONNECTION_WINDOW)
    const overdue = setTimeout(() => {
      session.destroy(undefined, constants.NGHTTP2_SETTINGS_TIMEOUT)
    }, SETTINGS_MS)
    session.once('localSettings', () => clearTimeout(overdue))
    // The windows may have changed again while the change before was on its way.
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

  /** A stream begins. Returns a function to call when it is over. */
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

  /** Takes no more requests. The connection ends with the last one it has. */
  retire(): void {
    if (this.#isRetired) return
    this.#isRetired = true
    this.session.close()
    if (this.#streams === 0) this.#part()
  }

  /** The same, when no download is under way any more. */
  retireSoon(): void {
    this.#isRetiring = true
    if (this.#asked === 0) this.retire()
  }

  /** A request begins that may be a receiver's. Returns a function to call when the end of its answer is known. */
  ask(): () => void {
    this.#asked++
    return () => {
      this.#asked--
      if (this.#isRetiring) this.retireSoon()
    }
  }

  /** An upload begins, and isn't read yet. Call `flow` when it is read, and `end` when it is over. */
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
   * Pings the peer. Fulfilled with true when the answer has come: the peer has then read all that was written before,
   * because frames are processed in order (RFC 9113, 5). False if the connection ended.
   */
  async isRead(): Promise<boolean> {
    return await new Promise((resolve) => {
      // `ping` throws on a session that is over, and returns false if too many pings are on their way.
      if (this.session.destroyed || !this.session.ping((error) => resolve(error === null))) resolve(false)
    })
  }

  #rest(): void {
    this.#idle = setTimeout(() => this.retire(), IDLE_MS).unref()
  }

  /** Without a deadline, a peer that doesn't answer our end with its own would keep the connection. */
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

/** Rounds down to a power of two. Otherwise every upload that comes or goes would change the windows of all. */
function floorPower(value: number): number {
  return 2 ** Math.floor(Math.log2(value))
}
