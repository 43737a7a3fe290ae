import type { Piece } from './chunk-scanner.js'

/** The framing of a body of known length: it only counts down to the end. */
export class Countdown {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  get isDone(): boolean {
    return this.#left === 0
  }

  scan(bytes: Buffer): Piece {
    const own = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes
    this.#left -= own.length
    return { pass: [own], payload: own.length }
  }
}
