import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { fromStream } from '../../../client/send/source.js'

const MIB = 1024 * 1024
/** What may have been read, and lie in the buffers on the way to the receiver. */
const ON_ITS_WAY = 15 * MIB

test('a stream goes back as far as it says, from what the server has handed on', async () => {
  const blocks = Array.from({ length: 48 }, (_, index) => Buffer.alloc(MIB, index))
  const source = fromStream(Readable.from(blocks))
  let read = 0
  for await (const block of source.read(0)) {
    read += block.length
    if (read === 40 * MIB) break
  }
  const from = read - ON_ITS_WAY - Number(source.reach)
  const { value } = await source.read(from)[Symbol.asyncIterator]().next()
  expect(value?.[0]).toBe(from / MIB)
  await source.close()
})
