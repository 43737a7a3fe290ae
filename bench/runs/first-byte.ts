import { withSubject } from '../carry.js'
import type { Bench, Numbers } from '../scenario.js'
import { quantile } from '../statistics.js'
import type { Subject } from '../subjects.js'

/** Long enough for the body to lie there when the receiver asks, as it does when a sender waits for a person. */
const PAUSE_US = 4000

/** By then V8 has compiled what they run, as it has in a server that has been up for a while. */
const WARM_UP_TRANSFERS = 3000

/** One transfer after the other: from each GET, on a fresh connection, to its first byte of body. */
export async function firstByte(bench: Bench, subject: Subject): Promise<Numbers> {
  const options = (transfers: number, pauseUs: number) => ({
    bytes: 64 * 1024,
    transfers,
    receiver: { 'first-byte': 1, 'pause-us': pauseUs },
  })
  return withSubject(bench, subject, undefined, async (_process, carry) => {
    await carry(options(WARM_UP_TRANSFERS, 0))
    const { firstByteUs } = await carry(options(bench.isQuick ? 200 : 500, PAUSE_US))
    return { p50Us: quantile(firstByteUs, 0.5), p99Us: quantile(firstByteUs, 0.99) }
  })
}
