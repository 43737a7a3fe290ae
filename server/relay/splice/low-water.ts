import { readFileSync } from 'node:fs'
import type { Libc } from './libc.js'
import type { Job } from './pump.js'

/**
 * Of a fast sender so much has to come before it is taken: a pipe full. Without it the thread wakes up for whatever
 * is there, and all that a piece costs, to us and to both peers, is paid for a small one: a third more CPU.
 */
const FIRST_MARK_BYTES = 1024 * 1024
/** As much as a very fast one's kernel holds of it; all of that then moves in one go: a quarter less CPU again. */
const LAST_MARK_BYTES = 4 * 1024 * 1024
/**
 * But no more than this part of the largest buffer that a connection may come to here (about a quarter of its window):
 * a sender that fills its window has to wait, and where the mark is half of it, nothing is gained.
 */
const PART_OF_BUFFER = 1 / 8
/** A sender is fast when it is so far ahead that one call takes this much. */
const FAST_BYTES = 256 * 1024
/** How often the fast ones are looked at: what came behind a mark lies there no longer than twice this. */
const SWEEP_MS = 5
/** A mark is doubled when so many of them came since the last look, so that two of the next one will have. */
const MARKS_TO_DOUBLE = 4

/** A sender's mark, and what had been taken of it when it was last looked at. */
interface Raised {
  markBytes: number
  taken: number
}

/** Which senders' sockets tell of bytes only when there are many of them, as long as they are fast. */
export class LowWater {
  readonly #libc: Libc
  readonly #lastMarkBytes: number
  readonly #raised = new Map<Job, Raised>()
  #sweptAtMs = 0

  /** `largestBufferBytes` is what the receive buffer of a connection may grow to; 0 where that is not known. */
  constructor(libc: Libc, largestBufferBytes = largestBuffer()) {
    this.#libc = libc
    const fitting = Math.max(FIRST_MARK_BYTES, PART_OF_BUFFER * largestBufferBytes)
    this.#lastMarkBytes = Math.min(fitting, LAST_MARK_BYTES)
  }

  /** How long a poll may take so that none of them is kept waiting; undefined for as long as one likes. */
  get pollMs(): number | undefined {
    return this.#raised.size > 0 ? SWEEP_MS : undefined
  }

  /** To be told of each job that now waits for its sockets. Among several, polls bring enough at once. */
  suit(job: Job, isAlone: boolean): void {
    // What is in the pipe waits for the receiver, whatever the sender does.
    if (job.pipe !== undefined) return
    const raised = this.#raised.get(job)
    const markBytes = raised?.markBytes ?? FIRST_MARK_BYTES
    const isLong = job.left >= 2 * markBytes
    if (raised !== undefined) {
      // What is left may be less than the mark.
      if (!isLong) this.lower(job)
    } else if (isLong && isAlone && job.lastTaken >= FAST_BYTES) {
      this.#libc.setLowWater(job.senderFd, markBytes)
      if (this.#raised.size === 0) this.#sweptAtMs = performance.now()
      this.#raised.set(job, { markBytes, taken: job.taken })
    }
  }

  /**
   * Lowers the mark of those that were not that fast after all, and gives them: there may be bytes of theirs. That of
   * those that are much faster is raised.
   */
  sweep(): Job[] {
    if (this.#raised.size === 0) return []
    const nowMs = performance.now()
    if (nowMs - this.#sweptAtMs < SWEEP_MS) return []
    this.#sweptAtMs = nowMs
    const slow: Job[] = []
    for (const [job, raised] of this.#raised) {
      const came = job.taken - raised.taken
      raised.taken = job.taken
      if (came === 0) {
        this.lower(job)
        slow.push(job)
      } else if (came >= MARKS_TO_DOUBLE * raised.markBytes) {
        this.#double(job, raised)
      }
    }
    return slow
  }

  #double(job: Job, raised: Raised): void {
    const markBytes = Math.min(2 * raised.markBytes, this.#lastMarkBytes)
    if (markBytes === raised.markBytes || job.left < 2 * markBytes) return
    raised.markBytes = markBytes
    this.#libc.setLowWater(job.senderFd, markBytes)
  }

  /** Has any byte told of again. To be done before the descriptor is let go: the mark is the socket's. */
  lower(job: Job): void {
    if (this.#raised.delete(job)) this.#libc.setLowWater(job.senderFd, 1)
  }
}

/** The last of the three numbers of `tcp_rmem` (tcp(7)), in bytes; 0 where they cannot be read. */
function largestBuffer(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/tcp_rmem', 'latin1').trim().split(/\s+/)[2]) || 0
  } catch {
    return 0
  }
}
