import { withResolvers } from './with-resolvers.js'

/**
 * An event that happens once. Thousands of sockets have one, and most are never awaited, so the promise is made when it
 * is first asked for.
 */
export class Occurrence {
  #hasHappened = false
  #waiting: Set<() => void> | undefined
  #awaited: ReturnType<typeof withResolvers<void>> | undefined

  /** Fulfilled when it happens; at once if it has happened. */
  get promise(): Promise<void> {
    if (this.#awaited === undefined) {
      this.#awaited = withResolvers<void>()
      if (this.#hasHappened) this.#awaited.resolve()
    }
    return this.#awaited.promise
  }

  /** Settled when it happens, or when `signal` is aborted. Then, unlike a race of promises, it leaves nothing behind. */
  async orAborted(signal: AbortSignal): Promise<void> {
    if (this.#hasHappened || signal.aborted) return
    const { promise, resolve } = withResolvers<void>()
    this.#waiting ??= new Set()
    this.#waiting.add(resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#waiting.delete(resolve)
  }

  /** Does nothing the second time. */
  happen(): void {
    this.#hasHappened = true
    this.#awaited?.resolve()
    for (const resolve of this.#waiting ?? []) resolve()
  }
}
