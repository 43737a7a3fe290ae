import { costOf } from '../carry.js'
import type { Bench, Numbers } from '../scenario.js'
import type { Subject } from '../subjects.js'

/** A process that has just started compiles its code while it works: its first transfers are counted apart. */
const FIRST_TRANSFERS = 1000

/** So many more, and V8 has compiled all that it will. */
const SETTLING_TRANSFERS = 5000

/** Many transfers of 1 KiB on fresh connections, 50 at once: the relay's CPU for each. */
export async function small(bench: Bench, subject: Subject): Promise<Numbers> {
  const options = (transfers: number) => ({ bytes: 1024, atOnce: 50, transfers })
  const transfers = bench.isQuick ? 3000 : 6000
  const cost = await costOf(
    bench,
    subject,
    [options(FIRST_TRANSFERS), options(SETTLING_TRANSFERS)],
    options(transfers),
  )
  const { cpuSeconds, warmUpCpuSeconds } = cost
  return {
    cpuUs: (cpuSeconds / transfers) * 1e6,
    ...(warmUpCpuSeconds !== undefined && { firstCpuUs: (warmUpCpuSeconds / FIRST_TRANSFERS) * 1e6 }),
  }
}
