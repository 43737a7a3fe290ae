/** The longest head of an answer of ours, by far. */
const MAX_HEAD_BYTES = 64 * 1024

const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** How a chunked answer without trailers ends. */
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** Follows an answer of another node, as far as it takes to know whether all of it has passed. */
export class AnswerProgress {
  #head: Buffer | undefined = Buffer.alloc(0)
  /** Bytes of the body still to come; undefined for a chunked body, NaN where it can't be told. */
  #left: number | undefined = Number.NaN
  #tail = Buffer.alloc(0)
  #isTrailed = false

  /** How many bytes have passed. */
  bytes = 0

  get hasBegun(): boolean {
    return this.bytes > 0
  }

  /** True when all of the answer has passed, but for the end of its connection. */
  get isComplete(): boolean {
    if (this.#left !== undefined) return this.#left === 0
    return this.#tail.equals(LAST_CHUNK) || (this.#isTrailed && this.#tail.subarray(1).equals(END_OF_HEAD))
  }

  /** Bytes of a body of known length that are still to come; undefined where that isn't known. */
  get left(): number | undefined {
    return this.#left !== undefined && this.#left >= 0 ? this.#left : undefined
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
    else if (/^transfer-encoding: *chunked/im.test(head)) this.#left = undefined
    this.#isTrailed = /^trailer:/im.test(head)
    this.#bodyPassed(rest)
  }

  #bodyPassed(bytes: Buffer): void {
    if (this.#left !== undefined) this.#left -= bytes.length
    else
      this.#tail = Buffer.concat([this.#tail, bytes.subarray(-LAST_CHUNK.length)]).subarray(
        -LAST_CHUNK.length,
      )
  }
}
