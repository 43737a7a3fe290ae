import { setImmediate } from 'node:timers/promises'

/** How long the event loop may wait for work that is done without it, in milliseconds. */
const SLICE_MS = 20

/** Cuts work that waits for nothing into slices, so that timers, signals and sockets have their turn. */
export class Slices {
  #end = performance.now() + SLICE_MS

  /** True if it is time to await `next()`. */
  get isOver(): boolean {
    return performance.now() > this.#end
  }

  async next(): Promise<void> {
    await setImmediate()
    this.#end = performance.now() + SLICE_MS
  }
}
