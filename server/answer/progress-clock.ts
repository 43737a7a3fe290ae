import type { Entry } from '../node/entry.js'

/** Whoever is told how far a transfer is, now and then. */
export interface Ticking {
  tick(): void
}

/** At most four times a second anybody is told of progress (protocol, chapter 2). */
const TICK_MS = 250

/** The progress of all transfers of one service: one timer, while there are any. */
export class ProgressClock {
  readonly #ticking = new Set<Entry<Ticking>>()
  #timer: NodeJS.Timeout | undefined

  /** From here `one` is called at each tick, until `stop` of what this returns. */
  start(one: Ticking): Entry<Ticking> {
    const entry = { member: one }
    this.#ticking.add(entry)
    // It keeps nobody's process running: the connections do that.
    this.#timer ??= setInterval(this.#tick, TICK_MS).unref()
    return entry
  }

  /** Its member is called no more; without effect when it is not. */
  stop(entry: Entry<Ticking> | undefined): void {
    if (entry === undefined) return
    entry.member = undefined
    this.#ticking.delete(entry)
  }

  readonly #tick = (): void => {
    for (const { member } of this.#ticking) member?.tick()
    // Not as soon as the last has stopped: where short transfers follow one another, that would be a timer for each.
    if (this.#ticking.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
