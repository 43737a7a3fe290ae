import type { StatusEvent } from '../../shared/index.js'

/**
 * Status events on their way to the code that iterates over them. They are kept until they are read. But a later
 * heartbeat or progress replaces an unread one, so the queue stays short for a caller that doesn't read.
 */
export class EventQueue implements AsyncIterable<StatusEvent> {
  readonly #unread: StatusEvent[] = []
  #end: { readonly error?: unknown } | undefined
  #wake = () => {}
  #hasBegun = false

  /** True once there was an event, read or not. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  push(event: StatusEvent): void {
    this.#hasBegun = true
    const isRefresh = event.event === 'waiting' || event.event === 'progress'
    if (isRefresh && this.#unread.at(-1)?.event === event.event) this.#unread.pop()
    this.#unread.push(event)
    this.#wake()
  }

  /** After the unread events, the iteration ends or throws `error`. */
  end(error?: unknown): void {
    this.#end = error === undefined ? {} : { error }
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StatusEvent> {
    for (;;) {
      const event = this.#unread.shift()
      if (event !== undefined) yield event
      else if (this.#end === undefined)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      else if ('error' in this.#end) throw this.#end.error
      else return
    }
  }
}
