import { costOf } from '../carry.js'
import type { LoadOptions } from '../load.js'
import { type Bench, GIB, type Metric, type Numbers } from '../scenario.js'
import type { Subject } from '../subjects.js'

export const BULK_METRICS = {
  cpuPerGiB: { title: 'CPU s/GiB', digits: 3 },
  gibPerS: { title: 'GiB/s', digits: 2 },
} as const satisfies Record<string, Metric>

/** One large body: the relay's CPU for each GiB, and how fast it went. */
export async function bulk(bench: Bench, subject: Subject, options: LoadOptions): Promise<Numbers> {
  const warmUp = { ...options, bytes: options.bytes / 4 }
  const { cpuSeconds, received } = await costOf(bench, subject, [warmUp], options)
  const gib = received.bytes / GIB
  return { cpuPerGiB: cpuSeconds / gib, gibPerS: gib / received.seconds }
}
