import type { Writable } from 'node:stream'
import { neverBlock } from '../node/terminal-output.js'

/** How much may wait for a reader that has stopped reading: the process holds what a full pipe does not take. */
const MAX_WAITING_BYTES = 256 * 1024

/** Where whole lines are written to. */
export interface LineWriter {
  write(lines: string): void
}

/**
 * stdout or stderr of a process that outlives them. Its disk may be full (ENOSPC), its reader gone (EPIPE), its terminal
 * closed (EIO); a reader that has merely stopped would have everything wait in memory. Lines that cannot be written are
 * lost and counted. Each later write is another try: someone makes room on the disk, a FIFO gets a new reader.
 */
export class Outlet implements LineWriter {
  readonly #stream: Writable
  #broken: ((error: NodeJS.ErrnoException) => void) | undefined
  #mended: ((lost: number) => void) | undefined
  #error: NodeJS.ErrnoException | undefined
  #lost = 0
  #lostSinceTaken = 0

  constructor(stream: Writable) {
    this.#stream = stream
    neverBlock(stream)
    // Without a listener an error ends the process. Each write's own callback has it too.
    stream.on('error', () => undefined)
  }

  /** How many writes were lost so far. */
  get lost(): number {
    return this.#lost
  }

  /** Calls back when a write fails after one that did not. */
  onBroken(listener: (error: NodeJS.ErrnoException) => void): void {
    this.#broken = listener
  }

  /** Calls back with how many writes were lost, when the first one succeeds again. */
  onMended(listener: (lost: number) => void): void {
    this.#mended = listener
  }

  write(lines: string): void {
    if (this.#stream.writableLength > MAX_WAITING_BYTES) {
      this.#lose()
      return
    }
    // The disk may have taken half of the line that it was full at.
    const text = this.#error === undefined ? lines : `\n${lines}`
    this.#stream.write(text, (error) => {
      if (error) this.#failed(error)
      else this.#taken()
    })
  }

  /** Fulfilled when all that was written is taken or lost; with the error, if the last of it met one. */
  async settled(): Promise<NodeJS.ErrnoException | undefined> {
    await new Promise<void>((resolve) => this.#stream.write('', () => resolve()))
    return this.#error
  }

  #failed(error: NodeJS.ErrnoException): void {
    this.#lose()
    const wasWhole = this.#error === undefined
    this.#error = error
    if (wasWhole) this.#broken?.(error)
  }

  #lose(): void {
    this.#lost++
    this.#lostSinceTaken++
  }

  #taken(): void {
    this.#error = undefined
    const lost = this.#lostSinceTaken
    this.#lostSinceTaken = 0
    if (lost > 0) this.#mended?.(lost)
  }
}
