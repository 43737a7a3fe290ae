/**
 * Something of ours that belongs to an object of somebody else's, and is to live no longer than that. A WeakMap says
 * the same, but until all old objects are collected V8 takes its values for alive: of a connection that has closed,
 * everything would stay.
 */
export class Attachment<Owner extends object, Value> {
  readonly #key: symbol

  /** `name` is for people who look at the owner. */
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

/** The owner, as far as nobody but us knows it. */
interface Attached<Value> {
  [key: symbol]: Value | undefined
}
