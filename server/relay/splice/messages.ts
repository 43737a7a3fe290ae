/**
 * What the main thread tells the worker. `start` hands over both descriptors: from then on they are the
 * worker's to close, as far as `claim` says so.
 */
export type Order =
  | {
      readonly order: 'start'
      readonly id: number
      readonly senderFd: number
      readonly receiverFd: number
      readonly bytes: number
      readonly record: SharedArrayBuffer
    }
  | { readonly order: 'cancel'; readonly id: number }
  /** Ends every job as cancelled, and the worker. */
  | { readonly order: 'close' }

/** How a job ended. */
export type SpliceOutcome =
  /** The receiver's socket has taken every byte. */
  | 'whole'
  | 'cancelled'
  /** The sender closed its half too early; what it had sent was handed on, unless the receiver failed too. */
  | 'sender-ended'
  /** The sender's connection broke; what had come before was handed on, unless the receiver failed too. */
  | 'sender-failed'
  | 'receiver-failed'
  /** Our own fault, or for want of descriptors or memory. */
  | 'engine-failed'

/** What the worker tells the main thread: it has let go of the descriptors of job `id`. */
export interface Report {
  readonly id: number
  readonly how: SpliceOutcome
  readonly errno: number | undefined
}

/** Told once, when the worker starts. */
export interface WorkerSetup {
  /** An eventfd that is written to after each order. */
  readonly wakeFd: number
  /** One word that is not 0 while there are orders that the worker has not read. */
  readonly attention: SharedArrayBuffer
}

const MOVED = 0
const TAKEN = 1
const CLAIMED = 2

/**
 * The part of a job that both threads see. Counts are of 64 bits, since a transfer may be of any size.
 */
export class JobRecord {
  readonly shared: SharedArrayBuffer
  readonly #words: BigInt64Array

  constructor(shared = new SharedArrayBuffer(3 * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.shared = shared
    this.#words = new BigInt64Array(shared)
  }

  /** Bytes that the receiver's socket has taken. */
  moved(): number {
    return Number(Atomics.load(this.#words, MOVED))
  }

  /** Bytes that were taken from the sender's socket. */
  taken(): number {
    return Number(Atomics.load(this.#words, TAKEN))
  }

  /** Sets both counts. */
  count(moved: number, taken: number): void {
    Atomics.store(this.#words, TAKEN, BigInt(taken))
    Atomics.store(this.#words, MOVED, BigInt(moved))
  }

  /**
   * True for the first who asks: it has to close the job's two descriptors. So they are closed once, also when
   * the worker dies with them in its hands and the main thread has to do it.
   */
  claim(): boolean {
    return Atomics.exchange(this.#words, CLAIMED, 1n) === 0n
  }

  /** Makes it as new, for another job. */
  reset(): void {
    this.#words.fill(0n)
  }
}
