/** The speed shown is that of the last few seconds, because people believe that one. */
const WINDOW_MS = 5_000
/** How often a sample is kept. More of them would only cost memory. */
const SAMPLE_MS = 200

interface Sample {
  readonly bytes: number
  readonly atMs: number
}

/** How far a transfer is, and how fast it goes. */
export class Pace {
  readonly #now: () => number
  #bytes: number
  #samples: Sample[]

  /** `now` gives milliseconds, such as `performance.now`. `bytes` moved before, at an unknown speed. */
  constructor(now: () => number, bytes = 0) {
    this.#now = now
    this.#bytes = bytes
    this.#samples = [{ bytes, atMs: now() }]
  }

  /** Call this with the number of bytes that have moved so far. */
  at(bytes: number): void {
    this.#bytes = bytes
    const now = this.#now()
    if (now - (this.#samples.at(-1)?.atMs ?? 0) < SAMPLE_MS) return
    this.#samples.push({ bytes, atMs: now })
    // The newest sample older than the window stays, to measure from.
    while ((this.#samples[1]?.atMs ?? now) < now - WINDOW_MS) this.#samples.shift()
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Bytes per second; undefined until there is enough to measure. */
  get rate(): number | undefined {
    const [first] = this.#samples
    const elapsedMs = this.#now() - (first?.atMs ?? 0)
    return first === undefined || elapsedMs < 2 * SAMPLE_MS
      ? undefined
      : ((this.#bytes - first.bytes) / elapsedMs) * 1000
  }
}
