import type { TerminalEvent } from '../../shared/index.js'

/** How many verdicts are kept, at some 300 bytes each. The oldest goes first. */
const MAX_VERDICTS = 10_000

/**
 * The verdicts of senders that can come back. One whose connection was cut just before its verdict still finds out how
 * the transfer ended.
 */
export class EndedUploads {
  readonly #keptMs: number
  /** By the token of the upload resource; a Map keeps the order of insertion. */
  readonly #verdicts = new Map<string, { readonly verdict: TerminalEvent; readonly untilMs: number }>()
  readonly #forgotten: (token: string) => void

  /** `forgotten` is told of each token whose verdict is forgotten. */
  constructor(keptMs: number, forgotten: (token: string) => void) {
    this.#keptMs = keptMs
    this.#forgotten = forgotten
  }

  add(tokens: readonly string[], verdict: TerminalEvent): void {
    const nowMs = performance.now()
    for (const token of tokens) this.#verdicts.set(token, { verdict, untilMs: nowMs + this.#keptMs })
    for (const [token, { untilMs }] of this.#verdicts) {
      if (untilMs > nowMs && this.#verdicts.size <= MAX_VERDICTS) return
      this.#verdicts.delete(token)
      this.#forgotten(token)
    }
  }

  /** Undefined for a token that was never given out, or whose verdict is forgotten. */
  of(token: string): TerminalEvent | undefined {
    const ended = this.#verdicts.get(token)
    return ended !== undefined && ended.untilMs > performance.now() ? ended.verdict : undefined
  }
}
