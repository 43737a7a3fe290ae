import { EssError, type StatusEvent } from '../../shared/index.js'
import { follow } from './follow.js'
import type { Upload } from './upload.js'

/** A receiver may pause for that long, and longer. */
const SILENCE_MS = 20_000
/** A piece takes less, unless the receiver pauses, or was lost. */
const PIECE_SILENCE_MS = 3_000
/** Nothing comes while a link waits. */
const WAITING_SILENCE_MS = 75_000
/** How often a person who looks at the page is told whether someone has opened the link, where nothing else tells. */
const UNTOLD_MS = 3_000
const LOOK_MS = 1_000
/** How long the server may take to tell the state. */
const STATE_MS = 15_000

/**
 * Looks after an upload whose connection may be dead without a sign: a laptop that slept, a network that was changed. After
 * some silence it asks the server by another connection, and gives up the request that the server doesn't count on.
 * Returns what ends it.
 */
export function watch(upload: Upload): () => void {
  const off = new AbortController()
  let isAsking = false
  const look = async (patienceMs: number) => {
    // Without a request there is none to give up.
    if (isAsking || upload.isBroken || performance.now() - upload.newsAt < patienceMs) return
    isAsking = true
    const { isConnected } = upload
    const state = await askState(upload, off.signal)
    isAsking = false
    if (off.signal.aborted) return
    // What was heard meanwhile is newer.
    if (upload.isBroken || performance.now() - upload.newsAt < patienceMs) return
    if (state === undefined || isMissing(state, isConnected)) upload.giveUp(new EssError('connection-lost'))
    else upload.take(state)
  }
  let lookedAt = performance.now()
  const lookForReceiver = async () => {
    if (isAsking || upload.isBroken || document.hidden || performance.now() - lookedAt < UNTOLD_MS) return
    isAsking = true
    const state = await askState(upload, off.signal)
    isAsking = false
    lookedAt = performance.now()
    if (state !== undefined && !off.signal.aborted && !isMissing(state, true)) upload.take(state)
  }
  const timer = setInterval(() => {
    if (upload.isUntold) void lookForReceiver()
    void look(patienceWith(upload))
  }, LOOK_MS)
  window.addEventListener('online', () => void look(0), { signal: off.signal })
  return () => {
    clearInterval(timer)
    off.abort()
  }
}

function patienceWith({ isConnected, isFollowing }: Upload): number {
  if (!isConnected) return WAITING_SILENCE_MS
  return isFollowing ? SILENCE_MS : PIECE_SILENCE_MS
}

/** True if the server waits for a sender who thinks that it is there, or has told it things that did not arrive. */
function isMissing(state: StatusEvent, wasConnected: boolean): boolean {
  if (state.event === 'interrupted') return state.side !== 'receiver'
  return state.event === 'reserved' || (state.event === 'connected' && !wasConnected)
}

/** What the server tells a follower that comes now, after `opened`. Undefined if it can't be asked. */
export async function askState(upload: Upload, signal: AbortSignal): Promise<StatusEvent | undefined> {
  const enough = new AbortController()
  const stop = () => enough.abort()
  const timer = setTimeout(stop, STATE_MS)
  signal.addEventListener('abort', stop)
  let state: StatusEvent | undefined
  await follow(upload.resource, enough.signal, (event) => {
    if (state !== undefined || event.event === 'opened') return
    state = event
    stop()
  })
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
  return state
}
