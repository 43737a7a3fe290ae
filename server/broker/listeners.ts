import type { EventEmitter } from 'node:events'
import type { ServiceEvents } from './events.js'

/**
 * Calls the embedder's own code: its listeners, and the functions among its options. Whatever that code does, it breaks
 * no transfer.
 */
export class Listeners {
  readonly #emitter: EventEmitter<ServiceEvents>

  constructor(emitter: EventEmitter<ServiceEvents>) {
    this.#emitter = emitter
  }

  /** Like `emit`, but a listener that fails breaks neither the transfer nor the other listeners. */
  tell<E extends keyof ServiceEvents>(event: E, ...values: ServiceEvents[E]): void {
    for (const listener of this.#emitter.rawListeners(event)) {
      this.guarded(event, () => Reflect.apply(listener, this.#emitter, values) as unknown)
    }
  }

  /** Returns what `call` returns; undefined when it throws. A promise that it returns may be rejected. */
  guarded<T>(name: string, call: () => T): T | undefined {
    const failed = (error: unknown) => {
      const isHeard = name !== 'error:listener' && this.#emitter.listenerCount('error:listener') > 0
      if (isHeard) this.tell('error:listener', error, name)
      else process.emitWarning(error instanceof Error ? error : String(error))
    }
    try {
      const result = call()
      if (result instanceof Promise) result.catch(failed)
      return result
    } catch (error) {
      failed(error)
      return undefined
    }
  }
}
