/** Wakes those who wait for something whenever anything has happened. */
export class Bell {
  readonly #listeners = new Set<() => void>()

  ring(): void {
    for (const listener of [...this.#listeners]) listener()
  }

  /** Waits until `look` gives something, which it may do at once; undefined if that takes longer than `ms`. */
  until<T>(look: () => T | undefined | false, ms: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const settle = (found: T | undefined) => {
        clearTimeout(timer)
        this.#listeners.delete(listen)
        resolve(found)
      }
      const listen = () => {
        const found = look()
        if (found !== undefined && found !== false) settle(found)
      }
      const timer = setTimeout(() => settle(undefined), ms)
      this.#listeners.add(listen)
      listen()
    })
  }
}
