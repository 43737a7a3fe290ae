import { withSubject } from '../carry.js'
import type { Bench, Numbers } from '../scenario.js'
import { quantile } from '../statistics.js'
import type { Subject } from '../subjects.js'

/** Long enough for the body to lie there when the receiver asks, as it does when a sender waits for a person. */
const PAUSE_US = 4000

/** One transfer after the other: from each GET, on a fresh connection, to its first byte of body. */
export async function firstByte(bench: Bench, subject: Subject): Promise<Numbers> {
  const options = (transfers: number) => ({
    bytes: 64 * 1024,
    transfers,
    receiver: { 'first-byte': 1, 'pause-us': PAUSE_US },
  })
  return withSubject(bench, subject, undefined, async (_process, carry) => {
    await carry(options(100))
    const { firstByteUs } = await carry(options(bench.isQuick ? 200 : 300))
    return { p50Us: quantile(firstByteUs, 0.5), p99Us: quantile(firstByteUs, 0.99) }
  })
}
