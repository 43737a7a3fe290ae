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

  /** `loss` says what happened, if something did. */
  arm(loss: string | undefined): void {
    this.#endsAt = performance.now() + this.#ms
    const nothing = `nothing came for ${formatDuration(this.#ms / 1000)}`
    const detail = loss === undefined ? nothing : `${loss}, and ${nothing}`
    this.#timer = setTimeout(() => this.#expired(detail), this.#ms)
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
