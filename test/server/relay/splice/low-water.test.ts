import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { Libc } from '../../../../server/relay/splice/libc.js'
import { LowWater } from '../../../../server/relay/splice/low-water.js'
import type { Job } from '../../../../server/relay/splice/pump.js'

const MIB = 1024 * 1024
/** What newer kernels let a receive buffer grow to; those before them stop at 6 MiB. */
const LARGE_BUFFER_BYTES = 32 * MIB
const SENDER_FD = 7
/** Longer than the time between two looks. */
const LOOK_MS = 6

beforeEach((context) => {
  vi.useFakeTimers({ toFake: ['performance'] })
  context.onTestFinished(() => void vi.useRealTimers())
})

/** A job that has just taken a MiB and waits for more, and the marks that were set for it, oldest first. */
function raised(largestBufferBytes: number, left = 1024 * MIB) {
  const marks: number[] = []
  // All that it asks of the C library.
  const libc = {
    setLowWater: (fd: number, bytes: number) => {
      expect(fd).toBe(SENDER_FD)
      marks.push(bytes)
    },
  } as unknown as Libc
  const job = { senderFd: SENDER_FD, left, taken: MIB, lastTaken: MIB, pipe: undefined } as unknown as Job
  const lowWater = new LowWater(libc, largestBufferBytes)
  lowWater.suit(job, true)
  return {
    job,
    lowWater,
    marks,
    /** So many bytes are taken until the next look at it; gives the jobs that were too slow. */
    look: (bytes: number): Job[] => {
      job.taken += bytes
      job.left -= bytes
      vi.advanceTimersByTime(LOOK_MS)
      return lowWater.sweep()
    },
  }
}

describe('the mark of a fast sender', () => {
  test('is a MiB, and stays there for one of 400 MB/s', () => {
    const { marks, look } = raised(LARGE_BUFFER_BYTES)
    for (let looks = 0; looks < 10; looks++) expect(look(2 * MIB)).toEqual([])
    expect(marks).toEqual([MIB])
  })

  test('is doubled for one that is much faster, up to 4 MiB', () => {
    const { marks, look } = raised(LARGE_BUFFER_BYTES)
    for (let looks = 0; looks < 10; looks++) expect(look(16 * MIB)).toEqual([])
    expect(marks).toEqual([MIB, 2 * MIB, 4 * MIB])
  })

  test.each([
    ['as kernels had it for long', 6 * MIB],
    ['that nobody knows', 0],
  ])('is never more than a MiB where a buffer has a limit %s', (_whose, largestBufferBytes) => {
    const { marks, look } = raised(largestBufferBytes)
    for (let looks = 0; looks < 10; looks++) look(16 * MIB)
    expect(marks).toEqual([MIB])
  })

  test('is lowered when nothing came behind it, and begins anew', () => {
    const { job, lowWater, marks, look } = raised(LARGE_BUFFER_BYTES)
    look(16 * MIB)
    expect(look(0)).toEqual([job])
    expect(lowWater.pollMs).toBeUndefined()
    lowWater.suit(job, true)
    expect(marks).toEqual([MIB, 2 * MIB, 1, MIB])
  })

  test('is not raised beyond half of what is still to come, and lowered for the rest', () => {
    const { job, lowWater, marks, look } = raised(LARGE_BUFFER_BYTES, 19 * MIB)
    look(16 * MIB)
    lowWater.suit(job, true)
    expect(marks).toEqual([MIB])
    look(2 * MIB)
    lowWater.suit(job, true)
    expect(marks).toEqual([MIB, 1])
  })
})
