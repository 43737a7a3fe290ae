import { withResolvers } from './with-resolvers.js'

/**
 * An event that happens once. Thousands of sockets have one, and most are never awaited, so the promise is made when it
 * is first asked for.
 */
export class Occurrence {
  #hasHappened = false
  #awaited: ReturnType<typeof withResolvers<void>> | undefined

  /** Fulfilled when it happens; at once if it has happened. */
  get promise(): Promise<void> {
    if (this.#awaited === undefined) {
      this.#awaited = withResolvers<void>()
      if (this.#hasHappened) this.#awaited.resolve()
    }
    return this.#awaited.promise
  }

  /** Does nothing the second time. */
  happen(): void {
    this.#hasHappened = true
    this.#awaited?.resolve()
  }
}
