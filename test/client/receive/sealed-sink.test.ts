import { once } from 'node:events'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Sink } from '../../../client/ends/sink.js'
import { BodyOpener } from '../../../client/receive/body-opener.js'
import { Keyring } from '../../../client/receive/keyring.js'
import { makeSeal, type Seal } from '../../../client/receive/seal.js'
import { sealedSink } from '../../../client/receive/sealed-sink.js'
import { openFileSink, streamSink, written } from '../../../client/receive/sink.js'
import { findTarget } from '../../../client/receive/target.js'
import { CHUNK_BYTES, SEALED_CHUNK_BYTES } from '../../../client/seal/payload.js'
import { type SealedBody, sealedBody } from '../../helpers/sealed-body.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

async function sealOf({ note, identity }: SealedBody, isNoted = true): Promise<Seal> {
  const opened = await new Keyring({ identities: [identity], passphrase: undefined }).openNote(note)
  return makeSeal(opened.header, opened.note.payloadNonce, { size: undefined, isNoted })
}

function sinkFor(inner: Sink, seal: Seal, begun = 0): Sink {
  return sealedSink(inner, new BodyOpener(seal, begun, inner.path === undefined), seal)
}

async function fileSink(): Promise<{ inner: Sink; path: string; folder: string }> {
  const folder = await tempDir()
  const path = join(folder, 'film.mkv')
  const target = findTarget(path, { force: false, isTyped: true })
  if (target.kind !== 'file') throw new Error('Expected a new name to be a file')
  const terms = { id: 'AbCdEfGhIjKl', isFresh: false, signal: undefined }
  return { inner: await openFileSink(target, false, terms), path, folder }
}

const sealed = await sealedBody(3 * CHUNK_BYTES + 77)
const seal = await sealOf(sealed)

test('a body in pieces of any size comes out as it was, though the memory of each is used again', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 2 * SEALED_CHUNK_BYTES }), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      async (sizes, isSlow) => {
        const pieces: Buffer[] = []
        const writable = new Writable({
          write(piece: Buffer, _encoding, done) {
            pieces.push(Buffer.from(piece))
            if (isSlow) setImmediate(done)
            else done()
          },
        })
        const sink = sinkFor(streamSink(writable), seal)
        const memory = Buffer.alloc(2 * SEALED_CHUNK_BYTES)
        for (let at = 0, turn = 0; at < sealed.body.length; turn++) {
          const length = sealed.body.copy(memory, 0, at, at + (sizes[turn % sizes.length] ?? 1))
          await written(sink.writable, memory.subarray(0, length))
          memory.fill(0xee)
          at += length
        }
        sink.writable.end()
        await within(DEADLINE_MS, 'the sink ends', finished(sink.writable))
        expect(await sink.commit()).toBeUndefined()
        expect(Buffer.concat(pieces).equals(sealed.content)).toBe(true)
        expect(writable.writableEnded).toBe(false)
        expect(writable.listenerCount('error')).toBe(0)
      },
    ),
    { numRuns: 30 },
  )
})

test('the last chunk comes out only at the end', async () => {
  const pieces: Buffer[] = []
  const writable = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(piece)
      done()
    },
  })
  const whole = await sealedBody(2 * CHUNK_BYTES)
  const sink = sinkFor(streamSink(writable), await sealOf(whole))
  await written(sink.writable, whole.body)
  expect(Buffer.concat(pieces).length).toBe(CHUNK_BYTES)
  sink.writable.end()
  await within(DEADLINE_MS, 'the sink ends', finished(sink.writable))
  expect(Buffer.concat(pieces).length).toBe(2 * CHUNK_BYTES)
})

test('a slow place holds it up: no more than two blocks wait', async () => {
  const waiting: (() => void)[] = []
  const writable = new Writable({ write: (_piece, _encoding, done) => void waiting.push(done) })
  const big = await sealedBody(20 * CHUNK_BYTES)
  const sink = sinkFor(streamSink(writable), await sealOf(big))
  const taken: number[] = []
  const blockBytes = 4 * SEALED_CHUNK_BYTES
  const giving = (async () => {
    for (let at = 0; at < big.body.length; at += blockBytes) {
      await written(sink.writable, big.body.subarray(at, at + blockBytes))
      taken.push(at)
    }
  })()
  await until('the first block waits', () => waiting.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  // One is being written, and the next one is open already.
  expect(taken).toEqual([0])
  expect(writable.writableLength).toBeLessThanOrEqual(2 * blockBytes)
  const free = setInterval(() => waiting.shift()?.(), 1)
  await within(DEADLINE_MS, 'all of it is taken', giving)
  clearInterval(free)
  expect(taken.length).toBe(Math.ceil(big.body.length / blockBytes))
  sink.writable.on('error', () => {}).destroy()
})

test('an output that fails fails the sink, with its own error, also between two blocks', async () => {
  const trouble = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
  const failing = new Writable({ write: (_piece, _encoding, done) => done(trouble) })
  const sink = sinkFor(streamSink(failing), seal)
  const failed = once(sink.writable, 'error')
  await written(sink.writable, sealed.body.subarray(0, -100)).catch(() => {})
  expect(await within(DEADLINE_MS, 'the sink fails', failed)).toEqual([trouble])

  const leaving = new Writable({ write: (_piece, _encoding, done) => done() })
  const other = sinkFor(streamSink(leaving), seal)
  const alsoFailed = once(other.writable, 'error')
  leaving.destroy(trouble)
  expect(await within(DEADLINE_MS, 'the sink fails', alsoFailed)).toEqual([trouble])
})

test('what is not authentic leaves no file, and the place is closed', async () => {
  const { inner, folder } = await fileSink()
  const sink = sinkFor(inner, seal)
  const changed = Buffer.from(sealed.body)
  const last = changed.length - 1
  changed.writeUInt8(changed.readUInt8(last) ^ 1, last)
  await written(sink.writable, changed)
  sink.writable.end()
  await expect(within(DEADLINE_MS, 'the sink fails', finished(sink.writable))).rejects.toMatchObject({
    code: 'not-authentic',
    message:
      'What came is not what the sender encrypted. It ends too early, or was changed, from byte 196608 on. Nothing was kept. Ask the sender to send it again.',
  })
  await until('the place is closed', () => inner.writable.closed)
  await inner.discard(true)
  expect(await readdir(folder)).toEqual([])
})

test.each([true, false])('a part is kept for another run if that can open the rest: %s', async (isNoted) => {
  const { inner, folder, path } = await fileSink()
  const own = await sealOf(sealed, isNoted)
  const sink = sinkFor(inner, own)
  await written(sink.writable, sealed.body.subarray(0, -10))
  const part = `${path}.AbCdEfGhIjKl.part`
  expect(await sink.keep()).toBe(isNoted ? part : undefined)
  sink.writable.on('error', () => {}).destroy()
  await sink.discard(false)
  expect(await readdir(folder)).toEqual(isNoted ? ['film.mkv.AbCdEfGhIjKl.part'] : [])
  if (!isNoted) return
  // What was opened, and nothing of the chunk that is not whole.
  expect((await stat(part)).atimeMs).toBe(3_000)
  expect((await readFile(part)).equals(sealed.content.subarray(0, 3 * CHUNK_BYTES))).toBe(true)
})
