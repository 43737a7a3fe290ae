import { EssError } from '../../shared/index.js'

/** The error after the user's own interruption. */
export function interrupted(): EssError {
  return new EssError('interrupted', 'Interrupted before the transfer was complete.')
}

/** What `work` gives, unless `signal` is aborted first. Then it rejects with EssError `interrupted`, and `work` goes on unseen. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const stop = () => reject(interrupted())
    const settled = () => signal.removeEventListener('abort', stop)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(settled)
  })
}
