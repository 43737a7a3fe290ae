import type { EventEmitter } from 'node:events'
import type { ByteSink } from '../../node/ports.js'
import { freeChunks } from './free-chunks.js'

/**
 * How much may wait in this process for a receiver. Node asks for a pause at 16 KiB, and each pause costs a turn of
 * the event loop in which the kernel's buffers run empty. Much more than this is memory that a slow receiver holds,
 * and a hundred transfers push one another out of the processor's caches.
 */
export const MAX_QUEUED_BYTES = 256 * 1024

/**
 * The same over HTTP/2. There a receiver counts as stalled if it has not taken a whole write in time, and this much in
 * a minute is slow enough.
 */
export const MAX_QUEUED_BYTES_HTTP2 = 128 * 1024

/** How many writes may wait. A write costs some hundred bytes besides its own, and may have a single byte of its own. */
const MAX_QUEUED_WRITES = 1024

/** How many chunks of up to 64 KiB are freed by one call: a call costs the same for one. */
const FREED_TOGETHER = 16

/** Counts what has come from the sender and what the kernel has taken for the receiver. */
export class Ledger {
  /** Bytes of the file that have come from the sender. */
  received = 0
  readonly #receiver: ByteSink
  readonly #body: EventEmitter
  readonly #maxQueuedBytes: number
  readonly #onHandedOn: () => void
  #handedOn = 0
  #whenIdle: (() => void) | undefined
  /**
   * Bytes of the file in each write that the kernel has not taken, oldest first. Numbers and buffers are in two queues,
   * because an object for each write would double what this class costs.
   */
  readonly #payloads: number[] = []
  /** What those writes hold, if it may be freed. */
  readonly #memory: Buffer[] = []
  #spent: Buffer[] = []

  /** `body` gives the chunks; `handedOn` is called whenever the kernel has taken a write. */
  constructor(
    receiver: ByteSink,
    body: EventEmitter,
    handedOn: () => void,
    maxQueuedBytes = MAX_QUEUED_BYTES,
  ) {
    this.#receiver = receiver
    this.#body = body
    this.#onHandedOn = handedOn
    this.#maxQueuedBytes = maxQueuedBytes
  }

  /** Bytes of the file that the kernel has taken for the receiver. */
  get handedOn(): number {
    return this.#handedOn
  }

  /** True while a write waits for the kernel. */
  get isWaiting(): boolean {
    return this.#payloads.length > 0
  }

  /** True when as much waits as may. */
  get isFull(): boolean {
    return this.#receiver.writableLength >= this.#maxQueuedBytes || this.#payloads.length >= MAX_QUEUED_WRITES
  }

  /** Calls `done` once no write waits for the kernel, at once if none does. Call it at most once. */
  whenIdle(done: () => void): void {
    if (this.isWaiting) this.#whenIdle = done
    else done()
  }

  /**
   * A write of `payload` bytes of the file begins; its callback is `taken`. `memory` is freed when it is written: give
   * one for every write of a transfer, or for none.
   */
  wrote(payload: number, memory?: Buffer): void {
    this.#payloads.push(payload)
    if (memory !== undefined) this.#memory.push(memory)
  }

  /** The callback of each write. */
  readonly taken = (error?: Error | null): void => {
    const payload = this.#payloads.shift()
    const memory = this.#memory.shift()
    // The transfer itself notices a receiver that has left.
    if (payload === undefined || error) return
    this.#handedOn += payload
    if (memory !== undefined) {
      this.#spent.push(memory)
      if (this.#spent.length >= FREED_TOGETHER || this.#memory.length === 0) this.#free()
    }
    this.#onHandedOn()
    if (this.#whenIdle !== undefined && !this.isWaiting) this.#whenIdle()
  }

  #free(): void {
    // Another listener to the sender's body may still be using the chunks.
    if (this.#body.listenerCount('data') <= 1) freeChunks(this.#spent)
    this.#spent = []
  }
}
