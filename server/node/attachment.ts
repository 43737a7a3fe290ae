/**
 * A value of ours that belongs to an object of Node's or the host's, and lives as long as that object. A WeakMap would
 * say the same, but V8 takes its values for alive until all old objects are collected: everything about a closed
 * connection would stay in memory.
 */
export class Attachment<Owner extends object, Value> {
  readonly #key: symbol

  /** `name` shows when you inspect the owner. */
  constructor(name: string) {
    this.#key = Symbol(name)
  }

  get(owner: Owner): Value | undefined {
    return (owner as Attached<Value>)[this.#key]
  }

  set(owner: Owner, value: Value): void {
    ;(owner as Attached<Value>)[this.#key] = value
  }
}

/** The owner, with the members that only this file knows. */
interface Attached<Value> {
  [key: symbol]: Value | undefined
}
