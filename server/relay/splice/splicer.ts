import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { withResolvers } from '../../node/with-resolvers.js'
import { CallError, type Libc, loadLibc } from './libc.js'
import { JobRecord, type Order, type Report, type SpliceOutcome, type WorkerSetup } from './messages.js'
import { probe } from './probe.js'

export type { SpliceOutcome } from './messages.js'

/** One job: bytes on their way from one socket to another. */
export interface SpliceJob {
  /**
   * Fulfilled, never rejected, when the job is over and the worker has let go of both sockets. Until then a close or a
   * reset by the caller doesn't reach the peers: it takes effect only with the last descriptor of a connection.
   */
  readonly ended: Promise<SpliceEnd>
  /** Bytes that the receiver's socket has taken so far. It reads shared memory, and costs nothing. */
  moved(): number
  /** Bytes taken from the sender's socket so far, likewise. Those beyond `moved` wait for the receiver. */
  taken(): number
  /** Stops the job within about a millisecond; `ended` says when. Does nothing to a job that is over. */
  cancel(): void
  /**
   * The same, but what has come is handed on before, as far as one turn goes. `moved` may be behind: a receiver can have a
   * byte, and be gone with it, before this process has counted it. The job's end tells what the receiver had at this moment.
   */
  cancelAfterTurn(): void
}

/** How a job ended. */
export interface SpliceEnd {
  readonly how: SpliceOutcome
  /** Bytes that the receiver's socket took. */
  readonly moved: number
  /** Bytes taken from the sender's socket. Those beyond `moved` are lost. */
  readonly taken: number
  /** The error of the call that failed; undefined if none did. */
  readonly errno: number | undefined
}

/** Moves bytes between sockets within the kernel, in a thread of its own. */
export interface Splicer {
  /**
   * Moves exactly `bytes` from one connected, non-blocking socket to another. Until the job is over, don't read from the
   * sender's or write to the receiver's. The job works on duplicates, so you may close both descriptors at any time
   * after this returns; it neither ends nor shuts down a socket.
   *
   * Throws a RangeError if `bytes` isn't a size. The job's end tells of everything else: `engine-failed` with nothing
   * taken means that it couldn't begin.
   */
  start(senderFd: number, receiverFd: number, bytes: number): SpliceJob
  /** Why every new job fails: the thread broke down, or was closed. Undefined while it works. */
  failure(): Error | undefined
  /** Cancels all jobs, and ends the thread. */
  close(): Promise<void>
}

/**
 * The compiled worker beside this file. A test runner that runs the sources needs it built first. Undefined in a bundle,
 * where a `worker.js` beside it would belong to another program: in CommonJS `import.meta` is empty, and in an ES module
 * it has the bundle's own name.
 */
function workerFile(): URL | undefined {
  const own: string | undefined = import.meta.url
  if (own?.endsWith('/splice/splicer.js')) return new URL('./worker.js', own)
  if (own?.endsWith('/splice/splicer.ts')) return new URL('../../../dist/server/relay/splice/worker.js', own)
  return undefined
}

/** True once a thread has moved its bytes: it works in this process, so that the next one needn't show it. */
let hasWorked = false

/**
 * Starts the thread, which doesn't keep the process alive, and has it move some MiB over real connections. Rejects with
 * the reason if this doesn't work: not Linux, a bundle, no koffi, a kernel or sandbox that forbids a call, or bytes that
 * didn't arrive as they were sent.
 */
export async function createSplicer(): Promise<Splicer> {
  if (process.platform !== 'linux') throw new Error('splice(2) is only on Linux')
  const file = workerFile()
  if (file === undefined)
    throw new Error('splice(2) runs in a thread of its own, whose file a bundle leaves out')
  const libc = await loadLibc()
  if (hasWorked) return startWithFirstJob(libc, file)
  const splicer = startWorker(libc, file)
  try {
    await probe(splicer)
    hasWorked = true
    return splicer
  } catch (error) {
    const cause = splicer.failure() ?? error
    // Not awaited: a call that doesn't work may not return either.
    void splicer.close()
    throw cause
  }
}

/** A service beside the first one of this process may never have a job for a thread. */
function startWithFirstJob(libc: Libc, file: URL): Splicer {
  let splicer: Splicer | undefined
  let isClosed = false
  return {
    start: (...job) => {
      if (isClosed && splicer === undefined) return failedJob(undefined)
      splicer ??= startWorker(libc, file)
      return splicer.start(...job)
    },
    failure: () => splicer?.failure(),
    close: async () => {
      isClosed = true
      await splicer?.close()
    },
  }
}

interface RunningJob {
  readonly senderFd: number
  readonly receiverFd: number
  readonly record: JobRecord
  readonly end: (how: SpliceOutcome, errno: number | undefined) => void
}

/** The number that a write adds to an eventfd, in this machine's byte order. */
const ONE = new BigUint64Array([1n])

function startWorker(libc: Libc, file: URL): Splicer {
  const wakeFd = libc.eventfd()
  const attention = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const jobs = new Map<number, RunningJob>()
  /** Records of jobs that are over, for jobs to come. */
  const spareRecords: JobRecord[] = []
  let lastId = 0
  let failure: Error | undefined

  const workerData: WorkerSetup = { wakeFd, attention: attention.buffer }
  const worker = createWorker(workerData)
  const { promise: gone, resolve: goneNow } = withResolvers<void>()
  worker.on('message', ({ id, how, errno }: Report) => {
    const job = jobs.get(id)
    if (job === undefined) return
    jobs.delete(id)
    job.end(how, errno)
    spareRecords.push(job.record)
  })
  worker.on('error', (cause) => {
    failure ??= new Error(`The splicing thread broke down: ${String(cause)}`, { cause })
  })
  worker.once('exit', () => {
    failure ??= new Error('The splicing thread ended')
    libc.close(wakeFd)
    for (const { senderFd, receiverFd, record, end } of jobs.values()) {
      // The thread died before it closed these, or before it heard of them.
      if (record.claim()) closeAll(libc, [senderFd, receiverFd])
      end('engine-failed', undefined)
    }
    jobs.clear()
    goneNow()
  })
  worker.unref()

  return { start, failure: () => failure, close }

  function start(senderFd: number, receiverFd: number, bytes: number): SpliceJob {
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw new RangeError(`Expected a number of bytes, got ${bytes}`)
    if (failure !== undefined) return failedJob(undefined)
    const fds = duplicate(libc, [senderFd, receiverFd])
    if (fds instanceof CallError) return failedJob(fds.errno)
    // There are as many as were asked for.
    const [sender = -1, receiver = -1] = fds

    // Never 0, which stands for the orders themselves.
    lastId = (lastId % 0xffff_ffff) + 1
    const id = lastId
    const record = spareRecords.pop() ?? new JobRecord()
    record.reset()
    const { promise: ended, resolve } = withResolvers<SpliceEnd>()
    let end: SpliceEnd | undefined
    jobs.set(id, {
      senderFd: sender,
      receiverFd: receiver,
      record,
      end: (how, errno) => {
        end = { how, moved: record.moved(), taken: record.taken(), errno }
        resolve(end)
      },
    })
    const cancel = (lastTurn: boolean) => {
      if (end === undefined) post({ order: 'cancel', id, lastTurn })
    }
    post({ order: 'start', id, senderFd: sender, receiverFd: receiver, bytes, record: record.shared })
    return {
      ended,
      // After the end, the record may be another job's.
      moved: () => (end === undefined ? record.moved() : end.moved),
      taken: () => (end === undefined ? record.taken() : end.taken),
      cancel: () => cancel(false),
      cancelAfterTurn: () => cancel(true),
    }
  }

  async function close(): Promise<void> {
    if (failure === undefined) {
      failure = new Error('The splicing thread was closed')
      post({ order: 'close' })
    }
    worker.ref()
    await gone
  }

  function post(order: Order): void {
    worker.postMessage(order)
    // The thread looks at this word between any two jobs, and sleeps in a poll of the eventfd.
    Atomics.store(attention, 0, 1)
    writeSync(wakeFd, ONE)
  }

  function createWorker(workerData: WorkerSetup): Worker {
    try {
      // This process's own options may be for its main script alone.
      return new Worker(file, { name: 'ess-splice', workerData, execArgv: [] })
    } catch (error) {
      libc.close(wakeFd)
      throw error
    }
  }
}

function duplicate(libc: Libc, fds: readonly number[]): number[] | CallError {
  const duplicates: number[] = []
  try {
    for (const fd of fds) duplicates.push(libc.duplicate(fd))
    return duplicates
  } catch (error) {
    closeAll(libc, duplicates)
    if (error instanceof CallError) return error
    throw error
  }
}

function closeAll(libc: Libc, fds: readonly number[]): void {
  for (const fd of fds) libc.close(fd)
}

function failedJob(errno: number | undefined): SpliceJob {
  return {
    ended: Promise.resolve({ how: 'engine-failed', moved: 0, taken: 0, errno }),
    moved: () => 0,
    taken: () => 0,
    cancel: () => undefined,
    cancelAfterTurn: () => undefined,
  }
}
