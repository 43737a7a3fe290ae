import { ChunkScanner } from '../relay/gears/chunk-scanner.js'

/** The longest head of an answer of ours, by far. */
const MAX_HEAD_BYTES = 64 * 1024

const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** Follows an answer of another node, as far as it takes to know whether all of it has passed. */
export class AnswerProgress {
  #head: Buffer | undefined = Buffer.alloc(0)
  /** Bytes of a body of known length still to come; NaN where it can't be told. */
  #left = Number.NaN
  /** Follows a chunked body. */
  #chunks: ChunkScanner | undefined

  /** How many bytes have passed. */
  bytes = 0

  get hasBegun(): boolean {
    return this.bytes > 0
  }

  /** True when all of the answer has passed, but for the end of its connection. */
  get isComplete(): boolean {
    return this.#chunks === undefined ? this.#left === 0 : this.#chunks.isDone
  }

  /** Bytes of a body of known length that are still to come; undefined where that isn't known. */
  get left(): number | undefined {
    return this.#left >= 0 ? this.#left : undefined
  }

  /** These bytes have passed. */
  passed(bytes: Buffer): void {
    this.bytes += bytes.length
    this.#add(bytes)
  }

  #add(bytes: Buffer): void {
    if (this.#head === undefined) this.#bodyPassed(bytes)
    else this.#headPassed(Buffer.concat([this.#head, bytes]))
  }

  #headPassed(bytes: Buffer): void {
    const end = bytes.indexOf(END_OF_HEAD)
    if (end < 0) {
      // What isn't an answer of ours is never complete.
      this.#head = bytes.length > MAX_HEAD_BYTES ? undefined : bytes
      return
    }
    const head = bytes.toString('latin1', 0, end)
    const rest = bytes.subarray(end + END_OF_HEAD.length)
    // 100 (Continue), and the like: the answer is still to come.
    if (/^HTTP\/1\.\d 1/.test(head)) {
      this.#head = Buffer.alloc(0)
      this.#add(rest)
      return
    }
    this.#head = undefined
    const [, length] = /^content-length: *(\d+)/im.exec(head) ?? []
    if (length !== undefined) this.#left = Number(length)
    else if (/^transfer-encoding: *chunked/im.test(head)) this.#chunks = new ChunkScanner(false)
    this.#bodyPassed(rest)
  }

  #bodyPassed(bytes: Buffer): void {
    this.#left -= bytes.length
    try {
      this.#chunks?.scan(bytes)
    } catch {
      // What isn't chunked as it says is never complete.
      this.#chunks = undefined
    }
  }
}
