import { EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, ESPIPE, type Libc } from './libc.js'
import type { JobRecord, SpliceOutcome } from './messages.js'
import type { Pipe, Pipes } from './pipes.js'

/** One job of the worker's. */
export interface Job {
  readonly id: number
  readonly senderFd: number
  readonly receiverFd: number
  readonly record: JobRecord
  /** Bytes still to be taken from the sender. */
  left: number
  /** Bytes that were taken from the sender. */
  taken: number
  /** Bytes taken by the last call that took any. */
  lastTaken: number
  /** Bytes that the receiver's socket has taken. */
  moved: number
  /** Set while bytes are in it. */
  pipe: Pipe | undefined
  /** Why no more comes from the sender. What it had sent before is still handed on. */
  senderEnd: JobEnd | undefined
}

export interface JobEnd {
  readonly how: SpliceOutcome
  readonly errno: number | undefined
}

/** The state of a job after its turn: it has more to do, waits for its sockets, or is over. */
export type Turn = 'ready' | 'waiting' | JobEnd

/**
 * How much one job may move before the others have their turn: two full pipes, with which a single job loses nothing. It
 * takes about half a millisecond, and a new order is read after that.
 */
const TURN_BYTES = 2 * 1024 * 1024

/** Errors of splice(2) that mean a wrong call or no memory. Every other error is a socket's. */
const OUR_ERRORS: ReadonlySet<number> = new Set([EBADF, EINVAL, ENOMEM, ESPIPE])

/** Moves what one turn allows. Throws if there can't be one more pipe. */
export function pump(job: Job, libc: Libc, pipes: Pipes): Turn {
  job.pipe ??= pipes.take()
  const turn = move(job, job.pipe, libc)
  job.record.count(job.moved, job.taken)
  if (job.pipe.held === 0) {
    pipes.giveBack(job.pipe)
    job.pipe = undefined
  }
  return turn
}

function move(job: Job, pipe: Pipe, libc: Libc): Turn {
  const limit = job.moved + TURN_BYTES
  while (job.moved < limit) {
    const wasTaken = fill(job, pipe, libc)
    if (pipe.held === 0) {
      if (job.senderEnd !== undefined) return job.senderEnd
      if (job.left === 0) return { how: 'whole', errno: undefined }
      if (!wasTaken) return 'waiting'
      continue
    }
    const moved = libc.splice(pipe.readEnd, job.receiverFd, pipe.held)
    if (moved > 0) {
      pipe.held -= moved
      job.moved += moved
      continue
    }
    if (moved === 0) throw new Error(`Expected ${pipe.held} bytes in a pipe, got none`)
    const errno = libc.errno()
    if (errno === EINTR) continue
    // The receiver's socket is full. The poll reports when it drains or fails.
    if (errno === EAGAIN) return 'waiting'
    return job.senderEnd ?? failure('receiver-failed', errno)
  }
  return 'ready'
}

/** Takes from the sender what fits into the pipe. False if there is nothing to take for now. */
function fill(job: Job, pipe: Pipe, libc: Libc): boolean {
  const room = pipe.capacity - pipe.held
  if (job.left === 0 || job.senderEnd !== undefined || room === 0) return false
  const taken = libc.splice(job.senderFd, pipe.writeEnd, Math.min(job.left, room))
  if (taken > 0) {
    job.taken += taken
    job.lastTaken = taken
    job.left -= taken
    pipe.held += taken
    return true
  }
  if (taken === 0) {
    job.senderEnd = { how: 'sender-ended', errno: undefined }
    return false
  }
  const errno = libc.errno()
  if (errno === EINTR) return true
  // Nothing has come; or small pieces use up all slots of the pipe, which then has bytes to hand on.
  if (errno !== EAGAIN) job.senderEnd = failure('sender-failed', errno)
  return false
}

function failure(how: 'sender-failed' | 'receiver-failed', errno: number): JobEnd {
  return { how: OUR_ERRORS.has(errno) ? 'engine-failed' : how, errno }
}
