import type { Socket } from 'node:net'
import { setImmediate as immediate } from 'node:timers/promises'
import { descriptorOf } from '../node/socket-inside.js'
import { isPlain, type Relay } from '../relay/relay.js'
import type { SpliceEnd, SpliceJob } from '../relay/splice/splicer.js'
import { copyBytes } from './copying.js'

/** In one turn of the event loop what has come is read, and in the next one it is handed on. */
const TURNS = 2

/** What a pump asks and tells. */
export interface PumpTerms {
  readonly relay: Relay
  /** These bytes are being written to the sink. They are good until it returns. */
  passed(bytes: Buffer): void
  /** How many bytes are known to follow those that have passed; undefined where that isn't known. */
  left(): number | undefined
  /** One of the two connections was reset, or the bytes can't be moved any more. */
  broken(): void
}

/** Bytes on their way from one connection to another. */
export interface BytePump {
  /** How many bytes the kernel has moved by itself. `passed` isn't told of them. */
  moved(): number
  /**
   * What has come is handed on, as far as the sink takes it now; then `moved` and `passed` have told of all that the sink has.
   * The kernel moves nothing more after that.
   */
  settle(): Promise<void>
  /** Reads no more. Returns a promise if a thread still has the connections: until then, a reset doesn't reach a peer. */
  stop(): Promise<void> | undefined
}

/**
 * Moves bytes from one connection to another, at the pace of the slower one. It ends neither: the caller sees their
 * ends. As soon as many bytes are known to follow, the kernel moves them, if it can.
 */
export function pumpBytes(source: Socket, sink: Socket, terms: PumpTerms): BytePump {
  const { relay, passed, left, broken } = terms
  let job: SpliceJob | undefined
  /** Of the jobs that are over. */
  let moved = 0
  let isStopped = false
  let canSplice = isPlain(source)
  /** From the last bytes that are read here until the kernel has moved the others. */
  let isHandedOver = false
  const copying = copyBytes(source, sink, { take, goOn })
  if (copying.early.length > 0) {
    passed(copying.early)
    sink.write(copying.early)
  }
  copying.resume()
  return { moved: () => moved + (job?.moved() ?? 0), settle, stop }

  async function settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await immediate()
    job?.cancelAfterTurn()
    await job?.ended
  }

  function take(bytes: Buffer): boolean {
    // What comes for a peer that has left is thrown away, so that the end behind it is seen.
    if (isStopped || !sink.writable) return true
    passed(bytes)
    const splicer = canSplice ? relay.splicerTo(left(), sink) : undefined
    if (splicer === undefined) return copying.write(bytes)
    canSplice = false
    isHandedOver = true
    // The rest goes below Node, behind this.
    copying.write(bytes, (error) => {
      const [from, to, rest] = [descriptorOf(source), descriptorOf(sink), left()]
      if (isStopped || error || rest === undefined) return
      // A connection was closed just now, and the event that says so is on its way.
      if (from === undefined || to === undefined) return
      job = splicer.start(from, to, rest)
      // It never rejects, and `spliced` handles every end.
      void job.ended.then(spliced)
    })
    return false
  }

  function spliced({ how, taken, moved: bytes }: SpliceEnd): void {
    job = undefined
    isHandedOver = false
    moved += bytes
    if (isStopped) return
    const isUntouched = how === 'engine-failed' && taken === 0
    // The end of the source comes again, and is passed on behind its bytes.
    if (how === 'whole' || (how === 'sender-ended' && taken === bytes) || isUntouched) copying.resume()
    else broken()
  }

  function goOn(): void {
    if (!isHandedOver && !isStopped) copying.resume()
  }

  function stop(): Promise<void> | undefined {
    if (isStopped) return undefined
    isStopped = true
    job?.cancel()
    copying.stop()
    // What still comes is thrown away.
    if (job === undefined) copying.resume()
    return job?.ended.then(() => copying.resume())
  }
}

/** Reads what comes, and throws it away: its end is seen then. */
export function dropBytes(source: Socket): BytePump {
  const drop = () => undefined
  source.on('data', drop).resume()
  return {
    moved: () => 0,
    settle: () => Promise.resolve(),
    stop: () => {
      source.off('data', drop)
      return undefined
    },
  }
}
