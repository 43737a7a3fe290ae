/**
 * What one transfer moves in one turn of the event loop. When it has spent its share, the gear stops reading until the
 * turn is over, so that other transfers have theirs.
 */
export class Turn {
  readonly #maxBytes: number
  readonly #over: () => void
  #bytes = 0
  #end: NodeJS.Immediate | undefined

  /** `over` is called at the end of each turn in which bytes have moved. */
  constructor(maxBytes: number, over: () => void) {
    this.#maxBytes = maxBytes
    this.#over = over
  }

  /** True from the first bytes of a turn to its end. */
  get isUnderWay(): boolean {
    return this.#end !== undefined
  }

  /** True when the share of this turn has moved. */
  get isSpent(): boolean {
    return this.#bytes >= this.#maxBytes
  }

  spend(bytes: number): void {
    this.#bytes += bytes
    this.#end ??= setImmediate(this.#ended)
  }

  /** `over` is not called any more. */
  stop(): void {
    clearImmediate(this.#end)
  }

  readonly #ended = (): void => {
    this.#end = undefined
    this.#bytes = 0
    this.#over()
  }
}
