import type { Entry } from '../node/entry.js'

/** Something that is told at each tick, to report progress. */
export interface Ticking {
  tick(): void
}

/** Progress is told at most four times a second (protocol, chapter 2). */
const TICK_MS = 250

/** Ticks for all transfers of one service: one timer while any runs. */
export class ProgressClock {
  readonly #ticking = new Set<Entry<Ticking>>()
  #timer: NodeJS.Timeout | undefined

  /** `one` gets each tick from now on, until you pass the result to `stop`. */
  start(one: Ticking): Entry<Ticking> {
    const entry = { member: one }
    this.#ticking.add(entry)
    // The timer doesn't keep the process running; the connections do.
    this.#timer ??= setInterval(this.#tick, TICK_MS).unref()
    return entry
  }

  /** Ends the ticks of one member. Without effect if they have ended. */
  stop(entry: Entry<Ticking> | undefined): void {
    if (entry === undefined) return
    entry.member = undefined
    this.#ticking.delete(entry)
  }

  readonly #tick = (): void => {
    for (const { member } of this.#ticking) member?.tick()
    // The timer outlives the last transfer by a tick: short ones in a row would otherwise cost a timer each.
    if (this.#ticking.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
