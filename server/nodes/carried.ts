/** A request that is being carried to another node. */
export interface Carried {
  /** Fulfilled when both sides have been told how it ended. Never rejected. */
  readonly ended: Promise<void>
  /** Breaks it off: both sides see a reset. */
  stop(): void
}
