/** How many tokens of one socket stay known. A sender that missed more rewinds than these is no longer told of them. */
const MAX_TOKENS = 16

/** Is told of each token from `onNew` on: of one that came, and of the one that had to go for it. */
export type TokenListener = (added: string, dropped: string | undefined) => void

/** The secrets of the upload resources of one socket. Only the current one takes bytes; the others say where to go on. */
export class UploadTokens {
  readonly #make: () => string
  readonly #all: string[]
  #listener: TokenListener | undefined

  /** `make` gives a new one. `known` are from another node, which had the socket before. */
  constructor(make: () => string, known: readonly string[] = []) {
    this.#make = make
    this.#all = [...known]
  }

  /** Undefined if this socket has no upload resource. */
  get current(): string | undefined {
    return this.#all.at(-1)
  }

  /** All that are known, the oldest first. */
  get all(): readonly string[] {
    return this.#all
  }

  /** Makes another one current, and returns it. */
  renew(): string {
    const token = this.#make()
    this.#all.push(token)
    const dropped = this.#all.length > MAX_TOKENS ? this.#all.shift() : undefined
    this.#listener?.(token, dropped)
    return token
  }

  onNew(listener: TokenListener): void {
    this.#listener = listener
  }
}
