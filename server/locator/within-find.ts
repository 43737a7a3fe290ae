import { FIND_MS } from './locator.js'

/** How long we wait for the store. The rest of `FIND_MS` is for a process that is busy. */
export const LOOK_MS = FIND_MS - 50

/** What the store answers; `late` if it doesn't within `ms`, `failed` if it rejects. Never rejects. */
export async function withinFind<T>(answer: Promise<T>, ms = LOOK_MS): Promise<T | 'late' | 'failed'> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<'late'>((resolve) => {
    // While this process was busy, the answer may have come: what can be read is read before.
    timer = setTimeout(() => setImmediate(resolve, 'late'), Math.max(0, ms))
  })
  const settled = answer.catch(() => 'failed' as const)
  const first = await Promise.race([settled, deadline])
  clearTimeout(timer)
  return first
}
