import { formatDuration } from '../../shared/index.js'

/** The time that a peer has to come back, or a sender to bring its next piece. */
export class ReturnTimer {
  readonly #ms: number
  readonly #expired: (detail: string) => void
  #timer: NodeJS.Timeout | undefined
  #endsAt = 0

  /** `expired` is called with what both sides are told. */
  constructor(ms: number, expired: (detail: string) => void) {
    this.#ms = ms
    this.#expired = expired
  }

  get secondsLeft(): number {
    return Math.max(0, Math.round((this.#endsAt - performance.now()) / 1000))
  }

  /**
   * `loss` are the sentences on what happened, if something did just now: first that, then what to do. Without it, the one
   * that is `missing` may have been lost long before, or at another node. Of both, the sender must come first.
   */
  arm(loss: string | undefined, missing: 'sender' | 'receiver' | 'both'): void {
    this.#endsAt = performance.now() + this.#ms
    const time = formatDuration(this.#ms / 1000)
    const [what, ...advice] = loss?.split(/(?<=[.!?]) /) ?? []
    const who = missing === 'receiver' ? 'The receiver' : 'The sender'
    const outcome =
      what !== undefined
        ? `${what} ${missing === 'both' ? who : 'It'} did not come back within ${time}.`
        : missing === 'receiver'
          ? `${who} did not come back within ${time}.`
          : `${who}'s next bytes did not come within ${time}.`
    const next = advice.length === 0 ? 'Send the file again for a new link.' : advice.join(' ')
    this.#timer = setTimeout(() => this.#expired(`${outcome} ${next}`), this.#ms)
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
