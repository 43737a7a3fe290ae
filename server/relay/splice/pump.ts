import { EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, ESPIPE, type Libc } from './libc.js'
import type { JobRecord, SpliceOutcome } from './messages.js'
import type { Pipe, Pipes } from './pipes.js'

/** One job in the worker's hands. */
export interface Job {
  readonly id: number
  readonly senderFd: number
  readonly receiverFd: number
  readonly record: JobRecord
  /** Bytes that are still to be taken from the sender. */
  left: number
  /** Bytes that were taken from the sender. */
  taken: number
  /** Bytes that the last call took that took any. */
  lastTaken: number
  /** Bytes that the receiver's socket has taken. */
  moved: number
  /** Set while bytes are on their way. */
  pipe: Pipe | undefined
  /** Why no more comes from the sender; what it had sent before is still handed on. */
  senderEnd: JobEnd | undefined
}

export interface JobEnd {
  readonly how: SpliceOutcome
  readonly errno: number | undefined
}

/** What a turn leaves: a job with more to do, one that waits for its sockets, or one that is over. */
export type Turn = 'ready' | 'waiting' | JobEnd

/**
 * What one job may move before it is the others' turn: two pipes full, by which a single job loses nothing. It
 * takes about half a millisecond, which is how soon an order is heard.
 */
const TURN_BYTES = 2 * 1024 * 1024

/** What splice(2) says when it was called wrongly or lacks memory; all else is what became of a socket. */
const OUR_ERRORS: ReadonlySet<number> = new Set([EBADF, EINVAL, ENOMEM, ESPIPE])

/** Moves what one turn allows. Throws when there is no pipe to be had. */
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
    // Its socket is full. When it drains, or when it fails, the poll says so.
    if (errno === EAGAIN) return 'waiting'
    return job.senderEnd ?? failure('receiver-failed', errno)
  }
  return 'ready'
}

/** Takes from the sender what fits into the pipe; false when there is nothing to be taken for now. */
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
  // Nothing has come, or the pipe's slots are all used up by small pieces: then it has bytes to hand on.
  if (errno !== EAGAIN) job.senderEnd = failure('sender-failed', errno)
  return false
}

function failure(how: 'sender-failed' | 'receiver-failed', errno: number): JobEnd {
  return { how: OUR_ERRORS.has(errno) ? 'engine-failed' : how, errno }
}
