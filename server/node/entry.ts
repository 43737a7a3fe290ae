/**
 * A member of a Map or Set whose members come and go. Empty it when it goes.
 *
 * When enough members were deleted from such a collection, V8 makes a new table, and the old table points to the new
 * one. Once one of these tables is among the old objects, all tables after it live until all old objects are collected,
 * and with them every member that stood in one of them when it was replaced.
 */
export interface Entry<T> {
  /** Undefined once it has gone. */
  member: T | undefined
}
