import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import * as testkit from 'cctv-age'
import { describe, expect, test } from 'vitest'
import { openHeader } from '../../../client/seal/age.js'
import { PAYLOAD_NONCE_BYTES, payloadKey } from '../../../client/seal/payload.js'
import { PayloadOpener } from '../../../client/seal/payload-opener.js'
import { headerEnd } from '../../../shared/age-header.js'
import { EssError } from '../../../shared/index.js'

/** One of the test vectors for implementations of age (https://c2sp.org/CCTV/age). */
interface Vector {
  readonly name: string
  readonly expected: string
  readonly payloadHash: string | undefined
  readonly identities: readonly string[]
  readonly passphrase: string | undefined
  readonly file: Buffer
}

const VECTORS: readonly Vector[] = Object.entries(testkit)
  .map(([name, contents]) => parse(name, Buffer.from(contents)))
  .filter((vector) => vector !== undefined)

/** Undefined for an armored file: a body is always binary. */
function parse(name: string, contents: Buffer): Vector | undefined {
  const end = contents.indexOf('\n\n')
  const fields = contents
    .toString('utf8', 0, end)
    .split('\n')
    .map((line) => line.split(': ', 2))
  const all = (key: string) => fields.flatMap(([field, value = '']) => (field === key ? [value] : []))
  if (all('armored').length > 0) return undefined
  const rest = contents.subarray(end + 2)
  return {
    name,
    expected: all('expect')[0] ?? '',
    payloadHash: all('payload')[0],
    identities: all('identity'),
    passphrase: all('passphrase')[0],
    file: all('compressed')[0] === 'zlib' ? inflateSync(rest) : rest,
  }
}

/** What our opening path lets out, and how it ended. */
async function open({ file, identities, passphrase }: Vector, step: number) {
  const out: Buffer[] = []
  try {
    let end: number | undefined
    let seen = 0
    while (end === undefined) {
      if (seen === file.length) throw new EssError('not-authentic', 'it has no header')
      seen = Math.min(file.length, seen + step)
      end = headerEnd(file.subarray(0, seen))
    }
    const { fileKey } = await openHeader(file.subarray(0, end), { identities, passphrase })
    const nonce = file.subarray(end, end + PAYLOAD_NONCE_BYTES)
    if (nonce.length < PAYLOAD_NONCE_BYTES) throw new EssError('not-authentic', 'it has no nonce')
    const opener = new PayloadOpener(payloadKey(fileKey, nonce))
    for (let at = end + PAYLOAD_NONCE_BYTES; at < file.length; at += step)
      for (const chunk of opener.push(file.subarray(at, at + step))) out.push(chunk)
    out.push(opener.end())
    return { ending: 'success', out: Buffer.concat(out) }
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    return { ending: error.code, out: Buffer.concat(out) }
  }
}

const ENDINGS: Readonly<Record<string, string>> = {
  success: 'success',
  'no match': 'wrong-key',
  'HMAC failure': 'not-authentic',
  'header failure': 'not-authentic',
  'payload failure': 'not-authentic',
}

/**
 * Other implementations try a full chunk as either kind, and let it out before they find that it was the wrong one for its
 * place: a last one with more bytes behind it, or another one at the end. We know beforehand which one it has to be,
 * so only the chunks before it come out.
 */
const CHUNKS_BEFORE: Readonly<Record<string, number>> = {
  stream_no_final_full: 0,
  stream_no_final_two_chunks_full: 1,
  stream_trailing_garbage_long: 0,
  stream_trailing_garbage_short: 0,
  stream_two_final_chunks: 0,
  stream_two_final_chunks_full: 0,
  stream_two_final_chunks_second: 1,
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The plaintext of the vectors with several chunks always begins alike. */
function hashOfFirst(chunks: number): string | undefined {
  const name = chunks === 0 ? 'stream_bad_tag' : 'stream_bad_tag_second_chunk'
  return VECTORS.find((vector) => vector.name === name)?.payloadHash
}

test('the testkit has all of its vectors', () => {
  expect(VECTORS.length).toBe(110)
})

describe.each(VECTORS)('$name', (vector) => {
  // In steps of three bytes, a header comes in small parts; larger ones have no chunk whole, or several.
  test.each([vector.file.length > 100_000 ? 40_000 : 3, 1_000_000])(
    `is ${vector.expected}, in steps of %i`,
    async (step) => {
      const { ending, out } = await open(vector, step)
      expect(ending).toBe(ENDINGS[vector.expected])
      const chunksBefore = CHUNKS_BEFORE[vector.name]
      if (chunksBefore !== undefined) expect(sha256(out)).toBe(hashOfFirst(chunksBefore))
      else if (vector.payloadHash === undefined) expect(out).toHaveLength(0)
      else expect(sha256(out)).toBe(vector.payloadHash)
    },
  )
})
