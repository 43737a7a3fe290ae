/** A request that is being carried to another node. */
export interface Carried {
  /** Fulfilled when both sides have been told how it ended. Never rejected. */
  readonly ended: Promise<void>
  /** Bytes that have moved, in both directions. It grows as long as anything does. */
  moved(): number
  /** Breaks it off: both sides see a reset. */
  stop(): void
}
