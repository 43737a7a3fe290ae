import { costOf } from '../carry.js'
import type { Bench, Numbers } from '../scenario.js'
import type { Subject } from '../subjects.js'

/** Many transfers of 1 KiB on fresh connections, 50 at once: the relay's CPU for each. */
export async function small(bench: Bench, subject: Subject): Promise<Numbers> {
  const one = { bytes: 1024, atOnce: 50 }
  const transfers = bench.isQuick ? 3000 : 6000
  const { cpuSeconds } = await costOf(bench, subject, { ...one, transfers: 1000 }, { ...one, transfers })
  return { cpuUs: (cpuSeconds / transfers) * 1e6 }
}
