import type { Locator } from '../locator/locator.js'
import { timings } from '../node/timings.js'
import type { Carried } from './carried.js'

/** One request that is carried to a node. */
interface Watched {
  readonly node: string
  readonly carried: Carried
  /** What had moved at the last look, and since when it is the same. */
  moved: number
  sinceMs: number
}

/**
 * Breaks off what is carried to a node that is missed and silent. The kernel of a machine that is frozen goes on to
 * acknowledge, so nothing else tells of it: without that, the clients here would wait for as long as it is. A node that was
 * only cut off from the store goes on with the transfers that move.
 */
export class MissedNodes {
  readonly #locator: Locator
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined

  constructor(locator: Locator) {
    this.#locator = locator
  }

  /** Watches a request until it has ended. */
  watch(node: string, carried: Carried): void {
    const watched = { node, carried, moved: carried.moved(), sinceMs: performance.now() }
    this.#watched.add(watched)
    this.#timer ??= setInterval(() => this.#look(), timings.missedLookMs).unref()
    // It never rejects.
    void carried.ended.then(() => {
      this.#watched.delete(watched)
      if (this.#watched.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    })
  }

  #look(): void {
    const { isWell, nodes } = this.#locator.state
    const nowMs = performance.now()
    for (const watched of this.#watched) {
      const moved = watched.carried.moved()
      if (moved !== watched.moved) {
        watched.moved = moved
        watched.sinceMs = nowMs
        continue
      }
      const isMissed = isWell && !nodes.some(({ node }) => node === watched.node)
      if (isMissed && nowMs - watched.sinceMs >= timings.missedSilenceMs) watched.carried.stop()
    }
  }
}
