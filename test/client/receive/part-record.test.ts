import { open, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RECORD_BLOCK_BYTES, readRecord, writeRecord } from '../../../client/receive/part-record.js'
import { tempDir } from '../../helpers/temp-dir.js'

const BLOCK = RECORD_BLOCK_BYTES

test.each([
  [0, 0],
  [1, 0],
  [BLOCK - 1, 0],
  [BLOCK, BLOCK],
  [BLOCK + 1, BLOCK],
  [10 * BLOCK + 5, 10 * BLOCK],
])('a record of %d bytes is never read as more than that: %d', async (bytes, recorded) => {
  const path = join(await tempDir(), 'part')
  await writeFile(path, Buffer.alloc(bytes))
  const file = await open(path, 'r+')
  await writeRecord(file, bytes)
  await file.close()
  expect(readRecord(await stat(path))).toBe(recorded)
})

test('a record is never more than what is there', async () => {
  const path = join(await tempDir(), 'part')
  await writeFile(path, Buffer.alloc(BLOCK + 7))
  await utimes(path, 5, 5)
  expect(readRecord(await stat(path))).toBe(BLOCK + 7)
})

test('a true time of access is no record', async () => {
  const path = join(await tempDir(), 'part')
  await writeFile(path, Buffer.alloc(BLOCK))
  expect(readRecord(await stat(path))).toBeUndefined()
  expect(readRecord({ atimeMs: -1, size: BLOCK })).toBeUndefined()
})
