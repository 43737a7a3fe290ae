import { EssError } from '../../shared/index.js'
import { AwayError, isAway } from './away.js'
import { Patience } from './patience.js'
import { speaksTls } from './speaks-tls.js'

export interface FirstTriesOptions {
  /** Where the requests go. */
  readonly url: URL
  readonly signal: AbortSignal | undefined
  /** Called before each pause: with the seconds for which it is tried further, and the reason. */
  readonly onAway: ((secondsLeft: number, reason: EssError) => void) | undefined
  /** The link of a cluster, whose sender is on its way to another node. Default: none. */
  readonly reopening?: {
    /** How long that may take. */
    readonly ms: number
    /** True for an error that shows it. */
    readonly isShownBy: (error: EssError) => boolean
  }
}

/** A server that is restarted is back by then, and a balancer has noticed. */
const RESTART_MS = 10_000
/** A person is looking on. */
const LONGEST_PAUSE_MS = 2_000

/** With these, what stood for the server is away too. By themselves they show none: the address may be mistyped. */
const UNREACHED: readonly string[] = ['server-unreachable', 'proxy-failed']
/** With these, another try still makes sense. The receiver that the server is busy with may be our own lost request. */
const STILL: readonly string[] = [...UNREACHED, 'busy']

/**
 * How long the first requests of a transfer are sent again, while there is a server that takes none. Begin anew only as
 * long as no byte was read from the source, and no link was told.
 */
export class FirstTries {
  readonly #options: FirstTriesOptions
  readonly #patience: Patience
  /** The last error that has shown that there is a server. */
  #shown: EssError | undefined

  /** The time begins now. */
  constructor(options: FirstTriesOptions) {
    const { signal, reopening } = options
    this.#options = options
    this.#patience =
      reopening === undefined
        ? new Patience(RESTART_MS, signal, LONGEST_PAUSE_MS)
        : new Patience(reopening.ms, signal)
  }

  /** Resolves when it is time for another try after this error. Rejects if there is none: with it, or with `interrupted`. */
  async after(error: unknown): Promise<void> {
    if (!(error instanceof EssError)) throw error
    if (await this.#isShownBy(error)) this.#shown = error
    else if (this.#shown === undefined || !STILL.includes(error.code)) throw error
    const { retryAfter = 0 } = error
    const secondsLeft = this.#patience.secondsLeft
    // What showed the server has said more than that now there is none.
    if (this.#patience.isOver) throw UNREACHED.includes(error.code) ? this.#shown : error
    // A proxy for which it takes longer has said so. A server that stops names the longest time, and mostly is back sooner.
    const isLong = retryAfter > secondsLeft
    if (isLong && error instanceof AwayError) throw error
    this.#options.onAway?.(secondsLeft, this.#shown)
    const isHeeded = !isLong && this.#options.reopening === undefined
    await this.#patience.pause(isHeeded ? 1000 * retryAfter : 0)
  }

  async #isShownBy(error: EssError): Promise<boolean> {
    const { url, signal, reopening } = this.#options
    if (!isAway(error) && !reopening?.isShownBy(error)) return false
    // A server with TLS ends a connection that begins with plain HTTP, however often.
    const mayWantTls =
      this.#shown === undefined && error.code === 'connection-lost' && url.protocol === 'http:'
    return !(mayWantTls && (await speaksTls(url, signal)))
  }
}
