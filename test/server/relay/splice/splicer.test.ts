import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { constants } from 'node:os'
import { finished, pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest'
import { descriptorOf } from '../../../../server/node/socket-inside.js'
import { JobRecord } from '../../../../server/relay/splice/messages.js'
import { createSplicer, type SpliceJob, type Splicer } from '../../../../server/relay/splice/splicer.js'
import { bytesOf, sha256, streamOf } from '../../../helpers/bytes.js'
import { expectQuietNode } from '../../../helpers/child-env.js'
import { run } from '../../../helpers/run.js'
import { DEADLINE_MS, until, within } from '../../../helpers/within.js'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

/** More than the sockets on both sides and the pipe between them hold. */
const ENDLESS = GIB

const COMPILED = new URL('../../../../dist/server/relay/splice/', import.meta.url)

const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
let unavailable: string | undefined
let splicer: Splicer

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    splicer = await createSplicer()
  } catch (error) {
    unavailable = `splice(2) is not available: ${error instanceof Error ? error.message : error}`
    if (process.env['CI'] === 'true' && process.platform === 'linux') throw new Error(unavailable)
  }
})

beforeEach((context) => {
  if (unavailable !== undefined) context.skip(unavailable)
})

let pipesBefore = 0
beforeEach(() => {
  pipesBefore = openPipes()
})

afterEach(() => {
  if (unavailable === undefined) expect(openPipes(), 'pipes that are open').toBe(pipesBefore)
})

afterAll(async () => {
  server.close()
  if (unavailable === undefined) await within(DEADLINE_MS, 'the splicer closes', splicer.close())
})

/** The first splicer of a process, as far as its module knows, and its thread, which Node shows to any listener. */
async function startSplicer(): Promise<{ splicer: Splicer; worker: Worker }> {
  vi.resetModules()
  const { createSplicer } = await import('../../../../server/relay/splice/splicer.js')
  let worker: Worker | undefined
  const onWorker = (started: Worker) => {
    worker = started
  }
  process.on('worker', onWorker)
  try {
    const splicer = await createSplicer()
    if (worker === undefined) throw new Error('Expected a splicer to start a thread')
    return { splicer, worker }
  } finally {
    process.off('worker', onWorker)
  }
}

interface Connection {
  /** The client's end. */
  readonly peer: Socket
  /** The server's end, from which nothing is read. */
  readonly ours: Socket
  /** Of the server's end. */
  readonly fd: number
  /** What the descriptor stands for, as /proc calls it. */
  readonly inode: string
}

async function connection(): Promise<Connection> {
  const { port } = server.address() as AddressInfo
  const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }).pause()
  const [ours] = (await within(DEADLINE_MS, 'a connection', once(server, 'connection'))) as [Socket]
  for (const socket of [peer, ours]) {
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
  }
  const fd = descriptorOf(ours)
  if (fd === undefined) throw new Error('Expected a socket with a descriptor')
  return { peer, ours, fd, inode: readlinkSync(`/proc/self/fd/${fd}`) }
}

interface Transfer {
  readonly sender: Connection
  readonly receiver: Connection
  readonly job: SpliceJob
}

async function transfer(bytes: number, engine = splicer): Promise<Transfer> {
  const sender = await connection()
  const receiver = await connection()
  return { sender, receiver, job: engine.start(sender.fd, receiver.fd, bytes) }
}

/** One after the other, since whoever waits for a connection takes the next. */
async function transfers(count: number, bytes: number): Promise<Transfer[]> {
  const all: Transfer[] = []
  while (all.length < count) all.push(await transfer(bytes))
  return all
}

/** How the job ended, by when the worker has let go of both sockets. */
async function endOf({ job, sender, receiver }: Transfer) {
  const end = await within(DEADLINE_MS, 'the job ends', job.ended)
  expect(descriptors(sender.inode).length, 'descriptors of the sender').toBeLessThanOrEqual(1)
  expect(descriptors(receiver.inode).length, 'descriptors of the receiver').toBeLessThanOrEqual(1)
  expect(job.moved()).toBe(end.moved)
  expect(end.taken).toBeGreaterThanOrEqual(end.moved)
  return end
}

/** What this process's descriptors stand for. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      // The descriptor that the folder was read with.
      return []
    }
  })
}

function descriptors(inode: string): string[] {
  return openFiles().filter((file) => file === inode)
}

function openPipes(): number {
  return openFiles().filter((file) => file.startsWith('pipe:')).length
}

/** Reads to the end. */
async function contentOf(peer: Socket): Promise<{ bytes: number; hash: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  peer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    hash.update(chunk)
  })
  peer.resume()
  await within(DEADLINE_MS, 'the peer reads to the end', finished(peer, { writable: false }))
  return { bytes, hash: hash.digest('hex') }
}

/** Pushes a sender's bytes until everything on the way to a receiver that does not read is full. */
async function fillUp({ sender, job }: Transfer): Promise<void> {
  const piece = Buffer.alloc(MIB)
  const push = () => {
    while (!sender.peer.destroyed && sender.peer.write(piece)) {}
  }
  sender.peer.on('drain', push)
  push()
  let moved = -1
  await until('the receiver is full', () => {
    const wasMoved = moved
    moved = job.moved()
    // The sender must wait too: on a busy machine nothing may move for a while.
    return moved > 0 && moved === wasMoved && sender.peer.writableNeedDrain
  })
}

describe('all the bytes', () => {
  const SIZES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB - 1, MIB, MIB + 1, 64 * MIB]

  test.for(SIZES)('%i bytes arrive as they were sent', async (size) => {
    const it = await transfer(size)
    const content = contentOf(it.receiver.peer)
    // The sender's end comes right behind its last byte.
    const sent = pipeline(streamOf(size), it.sender.peer)
    expect(await endOf(it)).toEqual({ how: 'whole', moved: size, taken: size, errno: undefined })
    it.receiver.ours.end()
    expect(await content).toEqual({ bytes: size, hash: sha256(bytesOf(size)) })
    await within(DEADLINE_MS, 'the sender is done', sent)
  })

  test('what the sender sends beyond them is left to be read', async () => {
    const it = await transfer(MIB)
    const content = contentOf(it.receiver.peer)
    it.sender.peer.end(bytesOf(MIB + 5))
    expect(await endOf(it)).toMatchObject({ how: 'whole', taken: MIB })
    it.receiver.ours.end()
    expect(await content).toEqual({ bytes: MIB, hash: sha256(bytesOf(MIB)) })
    const rest = contentOf(it.sender.ours)
    expect(await rest).toEqual({ bytes: 5, hash: sha256(bytesOf(MIB + 5).subarray(MIB)) })
  })

  test('single bytes, each for itself, use up the slots of the pipe and arrive', async () => {
    const it = await transfer(2000)
    const content = contentOf(it.receiver.peer)
    const bytes = bytesOf(2000)
    for (const byte of bytes) {
      it.sender.peer.write(Uint8Array.of(byte))
      await new Promise(setImmediate)
    }
    expect(await endOf(it)).toMatchObject({ how: 'whole', moved: 2000 })
    it.receiver.ours.end()
    expect((await content).hash).toBe(sha256(bytes))
  })

  test('100 transfers at once keep to themselves', async () => {
    const size = 2 * MIB + 1
    const all = await transfers(100, size)
    await Promise.all(
      all.map(async (it, index) => {
        const content = contentOf(it.receiver.peer)
        it.sender.peer.end(bytesOf(size, index + 1))
        expect(await endOf(it)).toMatchObject({ how: 'whole', moved: size })
        it.receiver.ours.end()
        expect((await content).hash).toBe(sha256(bytesOf(size, index + 1)))
      }),
    )
  })

  test('more than 4 GiB are counted', async () => {
    const size = 4 * GIB + 5
    const it = await transfer(size)
    let received = 0
    it.receiver.peer.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    it.receiver.peer.resume()
    const piece = Buffer.alloc(16 * MIB)
    let sent = 0
    const push = () => {
      while (sent < size) {
        const next = piece.subarray(0, size - sent)
        sent += next.length
        if (!it.sender.peer.write(next)) return
      }
    }
    it.sender.peer.on('drain', push)
    push()
    expect(await within(50_000, '4 GiB are moved', it.job.ended)).toMatchObject({ how: 'whole', moved: size })
    expect(it.job.moved()).toBe(size)
    await until('all of it arrives', () => received === size)
  })

  test('counts are exact up to the largest that a number can hold', () => {
    const record = new JobRecord()
    for (const count of [0, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
      record.count(count, count)
      expect([record.moved(), record.taken()]).toEqual([count, count])
    }
  })

  test('the descriptors may be closed as soon as the job has begun', async () => {
    const it = await transfer(8 * MIB)
    it.sender.ours.destroy()
    it.receiver.ours.destroy()
    const content = contentOf(it.receiver.peer)
    it.sender.peer.end(bytesOf(8 * MIB))
    expect(await endOf(it)).toMatchObject({ how: 'whole', moved: 8 * MIB })
    // Its end comes with the last descriptor, which was the worker's.
    expect((await content).hash).toBe(sha256(bytesOf(8 * MIB)))
  })

  test('a receiver that has closed its own half gets them', async () => {
    const it = await transfer(8 * MIB)
    it.receiver.peer.end()
    it.receiver.ours.resume()
    await within(DEADLINE_MS, 'the FIN of the receiver', once(it.receiver.ours, 'end'))
    const content = contentOf(it.receiver.peer)
    it.sender.peer.end(bytesOf(8 * MIB))
    expect(await endOf(it)).toMatchObject({ how: 'whole' })
    it.receiver.ours.end()
    expect((await content).hash).toBe(sha256(bytesOf(8 * MIB)))
  })

  test('a receiver that stops reading for a while gets them', async () => {
    const it = await transfer(32 * MIB)
    const sent = pipeline(streamOf(32 * MIB), it.sender.peer)
    let moved = -1
    await until('the receiver is full', () => {
      const wasMoved = moved
      moved = it.job.moved()
      return moved > 0 && moved === wasMoved
    })
    const content = contentOf(it.receiver.peer)
    expect(await endOf(it)).toMatchObject({ how: 'whole' })
    it.receiver.ours.end()
    expect((await content).hash).toBe(sha256(bytesOf(32 * MIB)))
    await sent
  })
})

describe('a sender that was fast', () => {
  /** Some of it stays in the kernel when the sender stops, unless every byte is told of. */
  const BURSTS = [16 * MIB + 1000, 1, 16 * MIB + 100 * KIB, 7, 8 * MIB]

  test('and stops has what it sent handed on', async () => {
    const size = BURSTS.reduce((sum, burst) => sum + burst)
    const it = await transfer(size)
    const content = contentOf(it.receiver.peer)
    const bytes = bytesOf(size)
    let sent = 0
    for (const burst of BURSTS) {
      it.sender.peer.write(bytes.subarray(sent, sent + burst))
      sent += burst
      await until(`${sent} bytes are moved`, () => it.job.moved() === sent)
    }
    expect(await endOf(it)).toEqual({ how: 'whole', moved: size, taken: size, errno: undefined })
    it.receiver.ours.end()
    expect(await content).toEqual({ bytes: size, hash: sha256(bytes) })
  })

  test('and stops while its receiver has stopped as well', async () => {
    const size = 64 * MIB
    const it = await transfer(size)
    const bytes = bytesOf(size)
    const first = size - 1000
    it.sender.peer.write(bytes.subarray(0, first))
    let moved = -1
    await until('the receiver is full', () => {
      const wasMoved = moved
      moved = it.job.moved()
      return moved > 0 && moved === wasMoved
    })
    const content = contentOf(it.receiver.peer)
    await until('what was sent is moved', () => it.job.moved() === first)
    it.sender.peer.write(bytes.subarray(first))
    expect(await endOf(it)).toMatchObject({ how: 'whole', moved: size })
    it.receiver.ours.end()
    expect((await content).hash).toBe(sha256(bytes))
  })

  test('and whose transfer is given up is read byte by byte by its next reader', async () => {
    const it = await transfer(ENDLESS)
    it.receiver.peer.resume()
    const piece = Buffer.alloc(MIB)
    let written = 0
    const push = () => {
      while (written < 256 * MIB) {
        written += piece.length
        if (!it.sender.peer.write(piece)) return
      }
    }
    it.sender.peer.on('drain', push)
    push()
    await until('64 MiB are moved', () => it.job.moved() > 64 * MIB)
    it.job.cancel()
    const { taken } = await endOf(it)
    it.sender.peer.off('drain', push)
    let read = 0
    it.sender.ours.on('data', (chunk: Buffer) => {
      read += chunk.length
    })
    it.sender.ours.resume()
    await until('the rest is read', () => taken + read === written)
    it.sender.peer.write(Uint8Array.of(1))
    await until('one byte more is read', () => taken + read === written + 1)
  })
})

describe('a sender', () => {
  test.for([0, 1, MIB + 1])('that ends after %i bytes of more has them handed on', async (size) => {
    const it = await transfer(size + 1)
    const content = contentOf(it.receiver.peer)
    it.sender.peer.end(bytesOf(size))
    expect(await endOf(it)).toEqual({ how: 'sender-ended', moved: size, taken: size, errno: undefined })
    it.receiver.ours.end()
    expect((await content).hash).toBe(sha256(bytesOf(size)))
  })

  test('that breaks off fails', async () => {
    const it = await transfer(ENDLESS)
    it.sender.peer.write(Buffer.alloc(1000))
    it.receiver.peer.resume()
    await until('its first bytes are moved', () => it.job.moved() === 1000)
    it.sender.peer.resetAndDestroy()
    expect(await endOf(it)).toEqual({
      how: 'sender-failed',
      moved: 1000,
      taken: 1000,
      errno: constants.errno.ECONNRESET,
    })
  })

  test('that breaks off behind its last byte has sent everything', async () => {
    const sender = await connection()
    const receiver = await connection()
    sender.peer.write(Buffer.alloc(1000))
    const isClosed = once(sender.peer, 'close')
    await until('the kernel has the bytes', () => sender.peer.writableLength === 0)
    sender.peer.resetAndDestroy()
    await within(DEADLINE_MS, 'the reset', isClosed)
    const job = splicer.start(sender.fd, receiver.fd, 1000)
    expect(await endOf({ sender, receiver, job })).toMatchObject({ how: 'whole', moved: 1000 })
  })

  test('that breaks off while the receiver reads nothing is noticed when it reads on', async () => {
    const it = await transfer(ENDLESS)
    await fillUp(it)
    it.sender.peer.resetAndDestroy()
    it.receiver.peer.resume()
    const { how, moved, taken } = await endOf(it)
    expect(how).toBe('sender-failed')
    expect(moved).toBe(taken)
  })
})

describe('a receiver', () => {
  test('that breaks off while the sender says nothing fails', async () => {
    const it = await transfer(ENDLESS)
    it.receiver.peer.resetAndDestroy()
    expect(await endOf(it)).toEqual({
      how: 'receiver-failed',
      moved: 0,
      taken: 0,
      errno: constants.errno.ECONNRESET,
    })
  })

  test('that breaks off while bytes wait for it fails, and what was in the pipe is lost', async () => {
    const it = await transfer(ENDLESS)
    await fillUp(it)
    it.receiver.peer.resetAndDestroy()
    const { how, moved, taken } = await endOf(it)
    expect(how).toBe('receiver-failed')
    expect(taken).toBeGreaterThan(moved)
  })
})

describe('cancelling', () => {
  test('at once', async () => {
    const it = await transfer(ENDLESS)
    it.job.cancel()
    expect(await endOf(it)).toMatchObject({ how: 'cancelled', moved: 0 })
  })

  test('while the sender says nothing', async () => {
    const it = await transfer(ENDLESS)
    it.sender.peer.write('x')
    await until('its byte is moved', () => it.job.moved() === 1)
    it.job.cancel()
    it.job.cancel()
    expect(await endOf(it)).toMatchObject({ how: 'cancelled', moved: 1 })
  })

  test('while the receiver reads nothing; then a reset reaches both peers', async () => {
    const it = await transfer(ENDLESS)
    await fillUp(it)
    it.job.cancel()
    const { how, moved, taken } = await endOf(it)
    expect(how).toBe('cancelled')
    expect(taken).toBeGreaterThan(moved)
    // libuv takes a reset behind the bytes of a short read for an end, so that either may be seen.
    const noticed = [it.sender.peer, it.receiver.peer.resume()].map(
      (peer) => new Promise((resolve) => void peer.once('end', resolve).once('close', resolve)),
    )
    it.sender.ours.resetAndDestroy()
    it.receiver.ours.resetAndDestroy()
    await within(DEADLINE_MS, 'both peers notice', Promise.all(noticed))
  })

  test.each([
    ['all of it', 1000, 'whole'],
    ['a part of it', 1001, 'cancelled'],
  ] as const)('after a turn, when %s has come', async (_what, size, how) => {
    const sender = await connection()
    const receiver = await connection()
    sender.peer.write(Buffer.alloc(1000))
    await until('the kernel has the bytes', () => sender.peer.writableLength === 0)
    const job = splicer.start(sender.fd, receiver.fd, size)
    job.cancelAfterTurn()
    expect(await endOf({ sender, receiver, job })).toMatchObject({ how, moved: 1000, taken: 1000 })
  })

  test('at any moment of transfers that run', async () => {
    const all = await transfers(20, ENDLESS)
    for (const it of all) {
      it.receiver.peer.resume()
      const push = () => {
        while (!it.sender.peer.destroyed && it.sender.peer.write(Buffer.alloc(256 * KIB))) {}
      }
      it.sender.peer.on('drain', push)
      push()
    }
    for (const [index, it] of all.entries()) {
      await until('it runs', () => it.job.moved() > index * 100_000)
      it.job.cancel()
      expect(await endOf(it)).toMatchObject({ how: 'cancelled' })
      it.sender.peer.destroy()
    }
  })

  test('what is over does nothing, nor to the job that has its place', async () => {
    const it = await transfer(1)
    it.sender.peer.write('x')
    expect(await endOf(it)).toMatchObject({ how: 'whole' })
    const next = await transfer(1)
    it.job.cancel()
    next.sender.peer.write('x')
    expect(await endOf(next)).toMatchObject({ how: 'whole' })
    expect(it.job.moved()).toBe(1)
  })
})

describe('a job that cannot be', () => {
  test.for([-1, 0.5, Number.NaN, 2 ** 53])('of %d bytes throws', (bytes) => {
    expect(() => splicer.start(0, 0, bytes)).toThrow(RangeError)
  })

  test('with a descriptor that is closed fails before a byte is taken', async () => {
    const { fd, inode } = await connection()
    for (const [from, to] of [
      [fd, 1_000_000],
      [1_000_000, fd],
    ] as const)
      expect(await within(DEADLINE_MS, 'the job ends', splicer.start(from, to, 1).ended)).toEqual({
        how: 'engine-failed',
        moved: 0,
        taken: 0,
        errno: constants.errno.EBADF,
      })
    expect(descriptors(inode)).toHaveLength(1)
  })

  test('with a descriptor that cannot be waited for fails alone', async () => {
    const neighbour = await transfer(1)
    const [sender, receiver] = [await connection(), await connection()]
    const file = openSync(fileURLToPath(import.meta.url), 'r')
    onTestFinished(() => closeSync(file))
    const job = splicer.start(sender.fd, file, 1)
    expect(await endOf({ sender, receiver, job })).toMatchObject({
      how: 'engine-failed',
      errno: constants.errno.EPERM,
    })
    neighbour.sender.peer.write('x')
    expect(await endOf(neighbour)).toMatchObject({ how: 'whole' })
    expect(splicer.failure()).toBeUndefined()
  })
})

describe('the thread', () => {
  const ENGINE_FAILED = { how: 'engine-failed', moved: 0, taken: 0, errno: undefined }

  test('that throws fails its jobs and leaves no descriptor behind', async () => {
    const { splicer, worker } = await startSplicer()
    const blocked = await transfer(ENDLESS, splicer)
    await fillUp(blocked)
    worker.postMessage({ order: 'nonsense' })
    // Sent after it, and never heard.
    const unheard = await transfer(ENDLESS, splicer)
    expect(await endOf(blocked)).toMatchObject({ how: 'engine-failed' })
    expect(await endOf(unheard)).toEqual(ENGINE_FAILED)
    expect(splicer.failure()?.message).toContain('nonsense')

    const late = await transfer(1, splicer)
    expect(await endOf(late)).toEqual(ENGINE_FAILED)
    late.job.cancel()
    await within(DEADLINE_MS, 'the broken splicer closes', splicer.close())
  })

  test('that throws while it has nothing to do is noticed', async () => {
    const { splicer, worker } = await startSplicer()
    worker.postMessage({ order: 'nonsense' })
    await until('the failure is known', () => splicer.failure())
    expect(await endOf(await transfer(1, splicer))).toEqual(ENGINE_FAILED)
    await within(DEADLINE_MS, 'the broken splicer closes', splicer.close())
  })

  test('that is terminated from outside fails its jobs and holds on to no socket', async () => {
    const { splicer, worker } = await startSplicer()
    const it = await transfer(ENDLESS, splicer)
    it.sender.peer.write('x')
    await until('its byte is moved', () => it.job.moved() === 1)
    void worker.terminate()
    expect(await endOf(it)).toMatchObject({ how: 'engine-failed', moved: 1, taken: 1 })
    // Only the thread knew its spare pipe, which goes with the process.
    pipesBefore = openPipes()
  })

  test('that is closed cancels its jobs, and leaves no descriptor behind', async () => {
    const others = () => openFiles().filter((file) => file.startsWith('anon_inode:')).length
    const before = others()
    const { splicer } = await startSplicer()
    const it = await transfer(ENDLESS, splicer)
    await fillUp(it)
    const closed = splicer.close()
    expect(await endOf(it)).toMatchObject({ how: 'cancelled' })
    await within(DEADLINE_MS, 'the splicer closes', closed)
    await within(DEADLINE_MS, 'the splicer closes once more', splicer.close())
    expect(others()).toBe(before)
    expect(await endOf(await transfer(1, splicer))).toEqual(ENGINE_FAILED)
  })
})

test('a later splicer of the process starts its thread with its first job', async () => {
  const workers: Worker[] = []
  const onWorker = (started: Worker) => void workers.push(started)
  process.on('worker', onWorker)
  onTestFinished(() => void process.off('worker', onWorker))
  const [later, unused] = [await createSplicer(), await createSplicer()]
  expect(workers).toHaveLength(0)
  const it = await transfer(1, later)
  it.sender.peer.write('x')
  expect(await endOf(it)).toMatchObject({ how: 'whole', moved: 1 })
  expect(workers).toHaveLength(1)
  await within(DEADLINE_MS, 'the splicer closes', later.close())
  await within(DEADLINE_MS, 'the splicer without a thread closes', unused.close())
  expect(await endOf(await transfer(1, unused))).toMatchObject({ how: 'engine-failed' })
  expect(workers).toHaveLength(1)
})

describe('where it is not available', () => {
  test('a platform that is not Linux is named', async () => {
    vi.spyOn(process, 'platform', 'get').mockReturnValue('darwin')
    onTestFinished(() => void vi.restoreAllMocks())
    await expect(createSplicer()).rejects.toThrow('only on Linux')
  })

  test('koffi is named when it is not installed', async () => {
    vi.spyOn(process, 'arch', 'get').mockReturnValue('mips')
    onTestFinished(() => void vi.restoreAllMocks())
    await expect(createSplicer()).rejects.toThrow('@koromix/koffi-linux-mips')
  })
})

describe('a process', () => {
  /** Runs a module, with a splicer and a function that makes connections at hand. */
  async function node(script: string) {
    const program = await run('node', process.execPath, [
      '--input-type=module',
      '--eval',
      `${PRELUDE}${script}`,
    ])
    const end = await program.ended()
    expectQuietNode('node', end.stderr)
    expect(end, end.stderr).toMatchObject({ code: 0 })
    return end.stdout.toString()
  }

  const PRELUDE = `
    import { once } from 'node:events'
    import { connect, createServer } from 'node:net'
    import { setTimeout as delay } from 'node:timers/promises'
    const { createSplicer } = await import(${JSON.stringify(new URL('splicer.js', COMPILED))})
    const { descriptorOf } = await import(${JSON.stringify(new URL('../../node/socket-inside.js', COMPILED))})
    const splicer = await createSplicer()
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    async function connection() {
      const peer = connect(server.address().port, '127.0.0.1').pause()
      const [ours] = await once(server, 'connection')
      return { peer, ours, fd: descriptorOf(ours) }
    }
    const sender = await connection(), receiver = await connection()
    const job = splicer.start(sender.fd, receiver.fd, 2 ** 40)
    const piece = Buffer.alloc(1024 * 1024)
    const push = () => { while (sender.peer.write(piece)) {} }
    sender.peer.on('drain', push)
  `

  test('ends by itself with a splicer open and a job that waits', async () => {
    expect(
      await node(`
        sender.peer.write('x')
        while (job.moved() === 0) await delay(1)
        server.close()
        for (const { peer, ours } of [sender, receiver]) peer.unref(), ours.unref()
      `),
    ).toBe('')
  })

  test('may exit in the middle of a transfer', async () => {
    await node(`
      push()
      receiver.peer.resume()
      while (job.moved() < 10_000_000) await delay(1)
      process.exit()
    `)
  })

  test('whose receiver has stopped reading rests', async () => {
    const output = await node(`
      push()
      for (let moved = -1; moved < job.moved(); await delay(100)) moved = job.moved()
      const before = process.cpuUsage()
      await delay(1000)
      const { user, system } = process.cpuUsage(before)
      console.log((user + system) / 1e6)
      process.exit()
    `)
    // Seconds of the one: a loop that is busy takes all of it.
    expect(Number(output)).toBeLessThan(0.2)
  })
})
