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

  /** `loss` says, in whole sentences, what happened. Undefined if only the sender's next request is missing. */
  arm(loss: string | undefined): void {
    this.#endsAt = performance.now() + this.#ms
    const time = formatDuration(this.#ms / 1000)
    const detail =
      loss === undefined
        ? `The sender brought nothing more within ${time}. Send the file again for a new link.`
        : `A connection was lost, and did not come back within ${time}. ${loss}`
    this.#timer = setTimeout(() => this.#expired(detail), this.#ms)
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
