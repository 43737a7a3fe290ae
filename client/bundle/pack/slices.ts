import { setImmediate } from 'node:timers/promises'

/** How long the event loop may wait for work that is done without it, in milliseconds. */
const SLICE_MS = 20

const STEPS_BETWEEN_LOOKS = 8

/** Cuts work that waits for nothing into slices, so that timers, signals and sockets have their turn. */
export class Slices {
  #end = performance.now() + SLICE_MS
  #steps = 0

  /** True if it is time to await `next()`. Ask after each step, which takes some 20 µs unless the disk is slow. */
  get isOver(): boolean {
    // To look at the clock takes a microsecond.
    return ++this.#steps % STEPS_BETWEEN_LOOKS === 0 && performance.now() > this.#end
  }

  async next(): Promise<void> {
    await setImmediate()
    this.#steps = 0
    this.#end = performance.now() + SLICE_MS
  }
}
