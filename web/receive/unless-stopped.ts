/**
 * Settles as `step` does, or rejects with what `signal` was aborted with, if that is earlier: a person who stops need not wait
 * for a disk.
 */
export async function unlessStopped<Value>(step: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const over = new AbortController()
  const stopped = new Promise<never>((_resolve, reject) => {
    const stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { signal: over.signal })
    if (signal.aborted) stop()
  })
  // The one that comes second is of no interest.
  step.catch(ignore)
  stopped.catch(ignore)
  try {
    return await Promise.race([stopped, step])
  } finally {
    over.abort()
  }
}

function ignore(): void {}
