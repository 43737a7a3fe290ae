import { setTimeout as delay } from 'node:timers/promises'

/** The deadline of a wait that has no reason for another one, in milliseconds. */
export const DEADLINE_MS = 15_000

/** What `promise` gives, or a rejection that says which wait it was when that takes longer than `ms`. */
export async function within<T>(ms: number, name: string, promise: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`"${name}" did not happen within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

const POLL_MS = 20

/**
 * Polls until `predicate` gives something truthy, and gives that; for facts without an event, such as the
 * memory of another process. Rejects by `name` after `ms`.
 */
export async function until<T>(
  name: string,
  predicate: () => T | PromiseLike<T>,
  ms: number = DEADLINE_MS,
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + ms
  for (;;) {
    const value = await predicate()
    // It is truthy.
    if (value) return value as Exclude<T, false | undefined>
    if (performance.now() > end) throw new Error(`"${name}" did not happen within ${ms} ms`)
    await delay(POLL_MS)
  }
}
