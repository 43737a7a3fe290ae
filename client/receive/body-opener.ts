import { EssError, formatCount } from '../../shared/index.js'
import { PayloadOpener } from '../seal/payload-opener.js'
import { bytesInside, type Seal, startAfter } from './seal.js'

/** Opens a sealed body as it comes, over any number of requests. Every byte that comes out is authentic. */
export class BodyOpener {
  readonly #seal: Seal
  readonly #isStream: boolean
  readonly #payload: PayloadOpener
  /** The offset in the body of the first byte to take. */
  readonly at: number
  /** How many bytes of the header and the nonce were compared. */
  #compared = 0
  /** True once the caller has something of what is inside. */
  #hasGiven: boolean
  /** Bytes to leave out, because they are here already. */
  #skip: number

  /**
   * `begun` is how many bytes of what is inside are here already. `isStream` is true if what came so far stays with the
   * caller, whatever follows.
   */
  constructor(seal: Seal, begun: number, isStream: boolean) {
    const { at, index, skip } = startAfter(seal, begun)
    this.#seal = seal
    this.#isStream = isStream
    this.#payload = new PayloadOpener(seal.key, index)
    this.at = at
    this.#hasGiven = begun > 0
    this.#skip = skip
    if (at > 0) this.#compared = seal.begin.length
  }

  /** How many of the bytes inside are in the first `bodyBytes` of the body. */
  inside(bodyBytes: number): number {
    return bytesInside(this.#seal, bodyBytes)
  }

  /**
   * Takes the next bytes of the body, and gives what they bring, each piece in memory of its own. Throws EssError
   * `not-authentic`. Iterate to the end before you change `bytes` or call anything else.
   */
  *push(bytes: Uint8Array): Generator<Buffer, void> {
    try {
      for (const piece of this.#payload.push(this.#compare(bytes))) yield* this.#unknownOf(piece)
    } catch (error) {
      throw this.#explained(error)
    }
  }

  /** Gives the last piece. Call it once the body is known to be whole. Throws EssError `not-authentic`. */
  *end(): Generator<Buffer, void> {
    try {
      if (this.#compared < this.#seal.begin.length) throw notSealed('It ends in its header.')
      const { offset } = this.#payload
      const last = this.#payload.end()
      const { size = offset + last.length } = this.#seal
      if (offset + last.length !== size)
        throw notSealed(`It has not the ${formatCount(size, 'byte')} that were announced.`)
      yield* this.#unknownOf(last)
      if (this.#skip > 0) throw notSealed('It ends before the part that is here already.')
    } catch (error) {
      throw this.#explained(error)
    }
  }

  /** Takes away what the body must begin with. */
  #compare(bytes: Uint8Array): Uint8Array {
    const expected = this.#seal.begin.subarray(this.#compared, this.#compared + bytes.length)
    if (!expected.equals(bytes.subarray(0, expected.length)))
      throw notSealed('It is the body of another transfer, or was changed in its header.')
    this.#compared += expected.length
    return bytes.subarray(expected.length)
  }

  /** The piece without what is here already. */
  *#unknownOf(piece: Buffer): Generator<Buffer, void> {
    const rest = piece.subarray(this.#skip)
    this.#skip = Math.max(0, this.#skip - piece.length)
    if (rest.length === 0) return
    this.#hasGiven = true
    yield rest
  }

  /** Says what becomes of the bytes so far. */
  #explained(error: unknown): unknown {
    if (!(error instanceof EssError)) return error
    const rest = this.#hasGiven
      ? 'What you have was encrypted by the sender, but it is not the whole file.'
      : 'You have got nothing of it.'
    const words = [
      error.message,
      this.#isStream ? rest : 'Nothing was kept.',
      'Ask the sender to send it again.',
    ]
    return new EssError(error.code, words.join(' '), { cause: error })
  }
}

function notSealed(how: string): EssError {
  return new EssError('not-authentic', `What came is not what the sender encrypted. ${how}`)
}
