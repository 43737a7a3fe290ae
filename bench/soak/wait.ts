import type { EventEmitter } from 'node:events'

/** What `promise` gives, or an error that says which wait it was. */
export async function within<T>(seconds: number, name: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`"${name}" did not happen within ${seconds} s`)),
      1000 * seconds,
    )
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for the next of several events, whichever it is. */
export function anyOf(emitter: EventEmitter, ...names: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const happened = () => {
      for (const name of names) emitter.off(name, happened)
      resolve()
    }
    for (const name of names) emitter.on(name, happened)
  })
}
