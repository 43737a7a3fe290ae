/**
 * A member of a Map or a Set whose members come and go, to be emptied when it goes.
 *
 * Whenever enough were deleted from such a collection, V8 makes it a new table, to which the old one points. Once one
 * of them has grown old itself, those that follow live as long as it does, which is until all old objects are
 * collected; and with them everybody who stood in one of them when it was left.
 */
export interface Entry<T> {
  /** Undefined when it has gone. */
  member: T | undefined
}
