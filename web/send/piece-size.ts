import { PIECE_BYTES } from './piece.js'

/** The bar moves with each piece, and each costs a round trip in which nothing moves. */
const PIECE_MS = 1_500
const FIRST_BYTES = 1024 * 1024
const SMALLEST_BYTES = 128 * 1024

/** How large pieces should be. */
export class PieceSize {
  #bytes = FIRST_BYTES
  /** A proxy may take less than we would send. */
  #most = PIECE_BYTES

  get bytes(): number {
    return this.#bytes
  }

  /** A piece of so many bytes took so long. */
  fit(bytes: number, ms: number): void {
    const fitting = (bytes / Math.max(1, ms)) * PIECE_MS
    this.#bytes = Math.round(Math.max(SMALLEST_BYTES, Math.min(fitting, 2 * bytes, this.#most)))
  }

  /** Something else tells how far it is, and larger pieces cost less. */
  grow(): void {
    this.#bytes = this.#most
  }

  /** A proxy takes no piece of this size: nginx takes 1 MiB if it isn't told otherwise. False if they are small already. */
  shrink(): boolean {
    if (this.#bytes <= SMALLEST_BYTES) return false
    this.#most = Math.max(SMALLEST_BYTES, this.#bytes / 4)
    this.#bytes = Math.min(this.#bytes, this.#most)
    return true
  }
}
