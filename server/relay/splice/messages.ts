/**
 * An order from the main thread to the worker. `start` hands over both descriptors: from then on the worker closes them,
 * if `claim` says so.
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
  /** With `lastTurn`, what has come is handed on before, as far as one turn goes. */
  | { readonly order: 'cancel'; readonly id: number; readonly lastTurn: boolean }
  /** Cancels every job, and ends the worker. */
  | { readonly order: 'close' }

/** How a job ended. */
export type SpliceOutcome =
  /** The receiver's socket has taken every byte. */
  | 'whole'
  | 'cancelled'
  /** The sender closed its half too early. What it had sent was handed on, unless the receiver failed too. */
  | 'sender-ended'
  /** The sender's connection broke. What had come before was handed on, unless the receiver failed too. */
  | 'sender-failed'
  | 'receiver-failed'
  /** A bug of our own, or no descriptors or memory left. */
  | 'engine-failed'

/** The worker tells the main thread that it has let go of the descriptors of job `id`. */
export interface Report {
  readonly id: number
  readonly how: SpliceOutcome
  readonly errno: number | undefined
}

/** Passed to the worker when it starts. */
export interface WorkerSetup {
  /** An eventfd that is written to after each order. */
  readonly wakeFd: number
  /** One word, which is not 0 while the worker has unread orders. */
  readonly attention: SharedArrayBuffer
}

const MOVED = 0
const TAKEN = 1
const CLAIMED = 2

/** The part of a job that both threads see. Counts have 64 bits, because a transfer may be of any size. */
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
   * True for the first thread that asks: it must close the job's two descriptors. So they are closed once, even if the
   * worker dies with them and the main thread has to close them.
   */
  claim(): boolean {
    return Atomics.exchange(this.#words, CLAIMED, 1n) === 0n
  }

  /** Clears it for another job. */
  reset(): void {
    this.#words.fill(0n)
  }
}
