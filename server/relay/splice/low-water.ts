import { readFileSync } from 'node:fs'
import type { Libc } from './libc.js'
import type { Job } from './pump.js'

/**
 * How much must have come from a fast sender before it is read: one full pipe. Otherwise the thread wakes up for small
 * pieces, and each piece costs us and both peers the same as a large one: a third more CPU.
 */
const FIRST_MARK_BYTES = 1024 * 1024
/** The same for a very fast sender: all that our kernel holds of it moves in one go, for another quarter less CPU. */
const LAST_MARK_BYTES = 4 * 1024 * 1024
/**
 * A mark is at most this part of the largest receive buffer that a connection may have here (about a quarter of its
 * window). A sender that fills its window has to wait, so with a mark at half the window nothing is gained.
 */
const PART_OF_BUFFER = 1 / 8
/** A sender is fast if it is so far ahead that one call takes this much. */
const FAST_BYTES = 256 * 1024
/** How often fast senders are checked: bytes below a mark lie there no longer than twice this. */
const SWEEP_MS = 5
/** A mark is doubled if this many times its bytes came since the last check: then two of the next mark would come too. */
const MARKS_TO_DOUBLE = 4

/** A sender's mark, and how much had been taken from it at the last check. */
interface Raised {
  markBytes: number
  taken: number
}

/** Makes the sockets of fast senders report bytes only when many have come. */
export class LowWater {
  readonly #libc: Libc
  readonly #lastMarkBytes: number
  readonly #raised = new Map<Job, Raised>()
  #sweptAtMs = 0

  /** `largestBufferBytes` is how far the receive buffer of a connection may grow; 0 if that isn't known. */
  constructor(libc: Libc, largestBufferBytes = largestBuffer()) {
    this.#libc = libc
    const fitting = Math.max(FIRST_MARK_BYTES, PART_OF_BUFFER * largestBufferBytes)
    this.#lastMarkBytes = Math.min(fitting, LAST_MARK_BYTES)
  }

  /** How long a poll may take without keeping a fast sender waiting; undefined for no limit. */
  get pollMs(): number | undefined {
    return this.#raised.size > 0 ? SWEEP_MS : undefined
  }

  /** Call it for each job that now waits for its sockets. With several jobs, each poll brings enough at once anyway. */
  suit(job: Job, isAlone: boolean): void {
    // Bytes in the pipe wait for the receiver, whatever the sender does.
    if (job.pipe !== undefined) return
    const raised = this.#raised.get(job)
    const markBytes = raised?.markBytes ?? FIRST_MARK_BYTES
    const isLong = job.left >= 2 * markBytes
    if (raised !== undefined) {
      // Less than the mark may be left.
      if (!isLong) this.lower(job)
    } else if (isLong && isAlone && job.lastTaken >= FAST_BYTES) {
      this.#libc.setLowWater(job.senderFd, markBytes)
      if (this.#raised.size === 0) this.#sweptAtMs = performance.now()
      this.#raised.set(job, { markBytes, taken: job.taken })
    }
  }

  /**
   * Raises the mark of senders that are much faster than it. Lowers the mark of senders that were not that fast after
   * all, and returns their jobs: bytes may be waiting.
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

  /** Makes the socket report every byte again. Call it before the descriptor is closed: the mark is the socket's. */
  lower(job: Job): void {
    if (this.#raised.delete(job)) this.#libc.setLowWater(job.senderFd, 1)
  }
}

/** The last of the three numbers of `tcp_rmem` (tcp(7)), in bytes; 0 if they can't be read. */
function largestBuffer(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/tcp_rmem', 'latin1').trim().split(/\s+/)[2]) || 0
  } catch {
    return 0
  }
}
