import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { download, openFile } from '../../client/index.js'
import type { EssError } from '../../shared/index.js'
import { bytesOf, sha256, sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { type RawConnection, rawServer } from '../helpers/client-raw-server.js'
import { ID, openDownload } from '../helpers/client-wire.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../helpers/within.js'

const MIB = 1024 * 1024
/** Around one and two blocks, of 2 MiB each. */
const SIZES = [1, MIB, ...[2 * MIB, 4 * MIB].flatMap((size) => [size - 1, size, size + 1]), 9 * MIB + 7]

/** So many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await turn()
}

/** Reads a file as `send` does, looking at each block only just before it asks for the next one. */
async function readLate(path: string, onBlock: (bytes: number) => Promise<void>) {
  const source = await openFile(path)
  const hash = createHash('sha256')
  let bytes = 0
  let error: unknown
  try {
    for await (const block of source.read()) {
      bytes += block.length
      await onBlock(bytes)
      hash.update(block)
    }
  } catch (reason) {
    error = reason
  } finally {
    await source.close()
  }
  return { bytes, hash: hash.digest('hex'), error: error as EssError | undefined } // It throws nothing else.
}

for (const size of SIZES)
  test(`a file of ${size} bytes is read as it is, and a block keeps until the next is asked for`, async () => {
    const path = join(await tempDir(), 'x')
    const hash = await writeFileOf(path, size)
    // Long enough for the read ahead of it to have begun, and mostly to be through.
    const read = await readLate(path, () => turns(20))
    expect(read).toEqual({ bytes: size, hash, error: undefined })
  })

for (const [name, change] of [
  ['shrinks', (path: string) => truncate(path, 2 * MIB + 5)],
  ['grows', (path: string) => appendFile(path, 'more')],
] as const)
  test(`of a file that ${name} while it is sent, the last byte never goes out`, async () => {
    const path = join(await tempDir(), 'x')
    const size = 8 * MIB
    await writeFileOf(path, size)
    const read = await readLate(path, async (bytes) => {
      if (bytes === 2 * MIB) await change(path)
    })
    expect(read.error?.code).toBe('file-changed')
    expect(read.bytes).toBeLessThan(size)
  })

/** A download whose head was answered in a packet of its own, so that its body comes straight from the connection. */
async function openLarge(size: number, to: Parameters<typeof download>[1]) {
  const server = await rawServer()
  let onOffer = () => {}
  const offered = new Promise<void>((resolve) => {
    onOffer = resolve
  })
  const received = download(ID, { server: server.url, onOffer, ...to })
  received.catch(() => {}) // Whoever waits for it gets it.
  const connection = await openDownload(server, `Content-Length: ${size}`)
  await within(DEADLINE_MS, 'the head is read', offered)
  return { received, connection }
}

async function codeOf(received: Promise<unknown>): Promise<string> {
  const ending = received.then(
    () => 'received',
    (error: EssError) => error.code,
  )
  return await within(DEADLINE_MS, 'the download ends', ending)
}

for (const size of SIZES)
  test(`a download of ${size} bytes is what was sent, and our FIN follows although the server's came first`, async () => {
    const file = join(await tempDir(), 'x')
    const { received, connection } = await openLarge(size, { to: { file } })
    const bytes = bytesOf(size)
    connection.write(bytes)
    connection.end()
    expect(await received).toMatchObject({ bytes: size, size })
    expect(await connection.ending()).toBe('fin')
    expect(await sha256OfFile(file)).toBe(sha256(bytes))
  })

test('a reader slower than the connection gets every byte as it was sent', async () => {
  const size = 5 * MIB + 7
  const hash = createHash('sha256')
  let largest = 0
  const stream = new Writable({
    write(block: Buffer, _encoding, callback) {
      // Late, so that what is received meanwhile would show if it went into the same memory.
      void turns(block.length > 0 ? 200 : 0).then(() => {
        hash.update(block)
        largest = Math.max(largest, block.length)
        callback()
      })
    },
  })
  const { received, connection } = await openLarge(size, { to: { stream } })
  const bytes = bytesOf(size)
  connection.write(bytes)
  expect(await received).toMatchObject({ bytes: size })
  expect(hash.digest('hex')).toBe(sha256(bytes))
  // Through Node's parser no piece is larger than 64 KiB.
  expect(largest).toBeGreaterThan(64 * 1024)
  expect(await connection.ending()).toBe('fin')
})

test('progress is told as bytes come, not as blocks are written', async () => {
  let bytesSeen = 0
  const { received, connection } = await openLarge(9, {
    to: { file: join(await tempDir(), 'x') },
    onProgress(bytes) {
      bytesSeen = bytes
    },
  })
  connection.write('hello')
  await expect.poll(() => bytesSeen).toBe(5)
  connection.end('more')
  expect(await codeOf(received)).toBe('received')
})

const CUTS: Readonly<Record<string, (connection: RawConnection) => void>> = {
  'short, then FIN': (connection) => connection.end(),
  'short, then RST': (connection) => connection.reset(),
  'over-long in the packet of the end': (connection) => connection.end('x'.repeat(2 * MIB)),
}

for (const [name, cut] of Object.entries(CUTS))
  test(`a large body that is not whole leaves no file, and the server sees no FIN: ${name}`, async () => {
    const folder = await tempDir()
    let bytesSeen = 0
    const { received, connection } = await openLarge(3 * MIB, {
      to: { file: join(folder, 'x') },
      onProgress(bytes) {
        bytesSeen = bytes
      },
    })
    connection.write(bytesOf(2 * MIB + 1))
    await expect.poll(() => bytesSeen).toBe(2 * MIB + 1)
    cut(connection)
    expect(await codeOf(received)).toBe('incomplete')
    expect(await connection.ending()).toBe('rst')
    expect(await readdir(folder)).toEqual([])
  })

test('bytes that come after a whole large body spoil it', async () => {
  const folder = await tempDir()
  let bytesSeen = 0
  const { received, connection } = await openLarge(2 * MIB, {
    to: { file: join(folder, 'x') },
    onProgress(bytes) {
      bytesSeen = bytes
    },
  })
  connection.write(bytesOf(2 * MIB))
  await expect.poll(() => bytesSeen).toBe(2 * MIB)
  connection.end('more')
  expect(await codeOf(received)).toBe('incomplete')
  expect(await connection.ending()).toBe('rst')
  expect(await readdir(folder)).toEqual([])
})

test('an interruption while the output takes nothing resets at once, also when every byte is here', async () => {
  for (const size of [MIB, 9 * MIB]) {
    const interrupt = new AbortController()
    const stream = new Writable({ write: () => interrupt.abort() })
    const { received, connection } = await openLarge(size, { to: { stream }, signal: interrupt.signal })
    connection.write(bytesOf(MIB))
    expect(await codeOf(received)).toBe('interrupted')
    expect(await connection.ending()).toBe('rst')
  }
})

test('an output that fails midway resets the connection and says why', async () => {
  let blocks = 0
  const stream = new Writable({
    write(_block, _encoding, callback) {
      blocks++
      if (blocks < 2) callback()
      else callback(Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' }))
    },
  })
  const { received, connection } = await openLarge(9 * MIB, { to: { stream } })
  connection.write(bytesOf(3 * MIB))
  const error = await within(
    DEADLINE_MS,
    'the download fails',
    received.catch((reason: EssError) => reason),
  )
  expect(error).toMatchObject({
    code: 'file-unwritable',
    message:
      'Cannot write the output: the disk is full. The link is used up: ask the sender to send the file again.',
  })
  expect(await connection.ending()).toBe('rst')
})

test('a device that is full is said, and is still there', async () => {
  const { received, connection } = await openLarge(3 * MIB, { to: { file: '/dev/full' } })
  connection.write(bytesOf(2 * MIB))
  expect(await codeOf(received)).toBe('file-unwritable')
  expect(await connection.ending()).toBe('rst')
  expect(existsSync('/dev/full')).toBe(true)
})
