import { type MetricsAsData, onlyGrowing, sumUp } from '../ops/metrics.js'
import type { WorkerProcess } from './worker-process.js'

/** How long a worker may take for its figures. One that is late shows those it gave last. */
const PATIENCE_MS = 2000

/**
 * The figures of several workers. Those of a worker that died stay, as far as they were asked for before: a counter that
 * went back would look to Prometheus like a server that was started again.
 */
export class Figures {
  readonly #last = new Map<WorkerProcess, MetricsAsData>()
  readonly #asked = new Map<number, () => void>()
  #ofDead: Promise<MetricsAsData> = Promise.resolve([])
  #lastAsk = 0

  /** Asks all of them. */
  async collect(workers: readonly WorkerProcess[]): Promise<MetricsAsData[]> {
    await Promise.all(workers.map((worker) => this.#ask(worker)))
    return [...this.#last.values(), await this.#ofDead]
  }

  /** A worker's answer. */
  answered(worker: WorkerProcess, ask: number, metrics: readonly object[]): void {
    // Both processes run the same version, and the data has passed through JSON alone.
    this.#last.set(worker, metrics as MetricsAsData)
    this.#asked.get(ask)?.()
  }

  gone(worker: WorkerProcess): void {
    const last = this.#last.get(worker)
    this.#last.delete(worker)
    if (last === undefined) return
    this.#ofDead = this.#ofDead.then((before) => sumUp([onlyGrowing(last), before]).data())
  }

  #ask(worker: WorkerProcess): Promise<void> {
    this.#lastAsk++
    const ask = this.#lastAsk
    return new Promise((resolve) => {
      const deadline = setTimeout(() => this.#asked.get(ask)?.(), PATIENCE_MS)
      this.#asked.set(ask, () => {
        clearTimeout(deadline)
        this.#asked.delete(ask)
        resolve()
      })
      worker.tell({ kind: 'metrics', ask })
    })
  }
}
