import { withSubject } from '../carry.js'
import { type Bench, GIB, type Numbers } from '../scenario.js'
import { jainIndex } from '../statistics.js'
import type { Subject } from '../subjects.js'

const AT_ONCE = 100
/** Shorter ones show the turns that the machine's other work takes. */
const WINDOW_MS = 3000
const LEAD_MS = 1000
/** So that what a transfer moves in the window is what the relay moved, and not what the kernel had put by. */
const SOCKET_BUFFER_BYTES = 256 * 1024

/** A hundred transfers at once against one alone, in windows of the same length in the middle of them. */
export async function fairness(bench: Bench, subject: Subject): Promise<Numbers> {
  const options = (atOnce: number) => ({
    // None of them gets to its end: what counts is what each moved in the window.
    bytes: 256 * GIB,
    transfers: atOnce,
    atOnce,
    socketBufferBytes: SOCKET_BUFFER_BYTES,
    isCut: true,
    receiver: { 'window-ms': WINDOW_MS, 'lead-ms': LEAD_MS },
  })
  return withSubject(bench, subject, undefined, async (_process, carry) => {
    const alone = await carry(options(1))
    const together = await carry(options(AT_ONCE))
    const perSecond = (bytes: readonly number[], seconds: number) =>
      bytes.reduce((total, each) => total + each, 0) / seconds
    const aloneRate = perSecond(alone.windowBytes, alone.seconds)
    const togetherRate = perSecond(together.windowBytes, together.seconds)
    return {
      jain: jainIndex(together.windowBytes),
      ofOneAlone: togetherRate / aloneRate,
      gibPerS: togetherRate / GIB,
    }
  })
}
