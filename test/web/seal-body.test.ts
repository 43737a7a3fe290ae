import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { CHUNK_BYTES } from '../../shared/age-payload.js'
import { makeHeader } from '../../web/seal/age.js'
import type { Body } from '../../web/seal/body.js'
import { sealBody } from '../../web/seal/sealed-body.js'
import { bytesOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import { run } from '../helpers/run.js'
import { openBytes } from '../helpers/sealing.js'
import { tempDir } from '../helpers/temp-dir.js'

const SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES]

/** A body of these bytes, which are read anew each time. */
function bodyOf(content: Buffer): Body {
  return {
    size: content.length,
    read: async (from, to) => new Uint8Array(content.subarray(from, to)),
    pieceEnd: (from, bytes) => Math.min(from + bytes, content.length),
    confirm: async () => undefined,
  }
}

async function sealed(content: Buffer) {
  const { identity, ...header } = await makeHeader()
  const { body } = sealBody(bodyOf(content), header)
  return { identity, body, file: Buffer.from(await body.read(0, body.size)) }
}

test.each(SIZES)('what the page seals is an age file of the size foretold: %i bytes', async (size) => {
  const content = bytesOf(size)
  const { identity, body, file } = await sealed(content)
  expect(file.length).toBe(body.size)
  expect((await openBytes(file, { identities: [identity] })).equals(content)).toBe(true)
})

describe('with the program age', () => {
  beforeEach((context) => needs(context, 'age'))

  test.each(SIZES)('it opens what the page seals: %i bytes', async (size) => {
    const content = bytesOf(size)
    const { identity, file } = await sealed(content)
    const key = join(await tempDir(), 'key.txt')
    await writeFile(key, identity)
    const age = await run('age -d', 'age', ['-d', '-i', key], { stdin: file })
    const { code, stdout, stderr } = await age.ended()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.equals(content)).toBe(true)
  })
})

describe('from any offset', async () => {
  const content = bytesOf(4 * CHUNK_BYTES + 1000)
  const { body, file } = await sealed(content)

  test('the same bytes come', async () => {
    const offset = fc.nat(file.length)
    await fc.assert(
      fc.asyncProperty(offset, offset, async (one, other) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)]
        expect(Buffer.from(await body.read(from, to)).equals(file.subarray(from, to))).toBe(true)
      }),
    )
  })

  test('a piece moves on, and not beyond the end', () => {
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 1_000_000 }), (from, bytes) => {
        const end = body.pieceEnd(from, bytes)
        expect(end).toBeGreaterThan(from)
        expect(end).toBeLessThanOrEqual(file.length)
      }),
    )
  })
})

test('a chunk that is another one by now is not sealed again', async () => {
  const content = bytesOf(3 * CHUNK_BYTES)
  const { body } = await sealed(content)
  content.writeUInt8((content.readUInt8(CHUNK_BYTES) + 1) % 256, CHUNK_BYTES)
  await expect(body.read(0, body.size)).rejects.toMatchObject({ code: 'file-changed' })
})
