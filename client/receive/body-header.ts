import { damaged, headerEnd } from '../../shared/age-header.js'
import type { Exchange } from '../http/exchange.js'
import { PAYLOAD_NONCE_BYTES } from '../seal/payload.js'
import { incomplete } from './offer.js'

/** How an age file begins. */
interface BodyHeader {
  readonly header: Buffer
  readonly nonce: Buffer
}

/**
 * Reads the beginning of an age file from the body, and puts it back. Throws EssError `not-authentic` if the body is no age
 * file, and `incomplete` if it breaks off before.
 */
export async function takeHeader(answer: Exchange, bodySize: number | undefined): Promise<BodyHeader> {
  const { body } = answer
  let taken = Buffer.alloc(0)
  for (;;) {
    const chunk: unknown = body.read()
    if (chunk instanceof Buffer) taken = Buffer.concat([taken, chunk])
    const end = headerEnd(taken)
    if (end !== undefined && taken.length >= end + PAYLOAD_NONCE_BYTES) {
      // In the same turn as the read: a body that was read to its end would end.
      body.unshift(taken)
      return { header: taken.subarray(0, end), nonce: taken.subarray(end, end + PAYLOAD_NONCE_BYTES) }
    }
    if (chunk === null && !(await hasMore(answer)))
      throw answer.failure === undefined
        ? damaged('has no end')
        : incomplete(answer.failure, taken.length, bodySize, false)
  }
}

/** Resolves with true when there is more to read, and with false when the body has ended, well or not. */
async function hasMore({ body, failure }: Exchange): Promise<boolean> {
  if (failure !== undefined || body.destroyed || body.readableEnded) return false
  const off = new AbortController()
  try {
    return await new Promise<boolean>((resolve) => {
      const on = (event: string, answer: boolean) => {
        const listener = () => resolve(answer)
        body.once(event, listener)
        off.signal.addEventListener('abort', () => body.off(event, listener))
      }
      on('readable', true)
      for (const ending of ['end', 'error', 'close']) on(ending, false)
    })
  } finally {
    off.abort()
  }
}
