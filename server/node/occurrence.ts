import { withResolvers } from './with-resolvers.js'

/**
 * Something that happens once. Thousands of sockets wait for theirs while nobody waits with them, so its promise is
 * made for the first who asks.
 */
export class Occurrence {
  #hasHappened = false
  #awaited: ReturnType<typeof withResolvers<void>> | undefined

  /** Fulfilled when it happens, or if it has. */
  get promise(): Promise<void> {
    if (this.#awaited === undefined) {
      this.#awaited = withResolvers<void>()
      if (this.#hasHappened) this.#awaited.resolve()
    }
    return this.#awaited.promise
  }

  /** It happens; again is without effect. */
  happen(): void {
    this.#hasHappened = true
    this.#awaited?.resolve()
  }
}
