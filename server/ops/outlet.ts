import type { Writable } from 'node:stream'
import { neverBlock } from '../node/terminal-output.js'

/** How much may wait in memory for a reader that has stopped reading, once its pipe is full. */
const MAX_WAITING_BYTES = 256 * 1024

/** Takes whole lines. */
export interface LineWriter {
  write(lines: string): void
}

/**
 * stdout or stderr of a process that outlives them. The disk may be full (ENOSPC), the reader gone (EPIPE), the
 * terminal closed (EIO). A reader that only stops reading would fill the memory. Lines that can't be written are lost
 * and counted. Each later write tries again: there may be room on the disk by then, or a FIFO may have a new reader.
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
    // Without a listener an error ends the process. The callback of each write gets the error too.
    stream.on('error', () => undefined)
  }

  /** How many writes were lost so far. */
  get lost(): number {
    return this.#lost
  }

  /** Calls back when a write fails, unless the write before it failed too. */
  onBroken(listener: (error: NodeJS.ErrnoException) => void): void {
    this.#broken = listener
  }

  /** Calls back when a write succeeds after some were lost, with how many those were. */
  onMended(listener: (lost: number) => void): void {
    this.#mended = listener
  }

  write(lines: string): void {
    if (this.#stream.writableLength > MAX_WAITING_BYTES) {
      this.#lose()
      return
    }
    // The write that failed may have left half a line.
    const text = this.#error === undefined ? lines : `\n${lines}`
    this.#stream.write(text, (error) => {
      if (error) this.#failed(error)
      else this.#taken()
    })
  }

  /** Resolves when every write so far has succeeded or failed; with the error, if the last one failed. */
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
