import { type LoadOptions, type Received, runLoad, startOrigin } from './load.js'
import type { Bench } from './scenario.js'
import { describeStuck } from './state.js'
import { type SubjectProcess, startSubject } from './subject-process.js'
import type { Certificate, Subject } from './subjects.js'

/** Carries one load after another through a subject. */
export type Carry = (options: LoadOptions) => Promise<Received>

/** Starts a subject, not a proxy, for `use` alone, and ends it afterwards. */
export async function withSubject<T>(
  { programs }: Bench,
  subject: Subject,
  certificate: Certificate | undefined,
  use: (process: SubjectProcess, carry: Carry) => Promise<T>,
): Promise<T> {
  const process = await startSubject((port) => subject.command({ port, originPort: 0, certificate }))
  try {
    return await use(process, async (options) => {
      try {
        return await runLoad(programs, subject, process.port, { ...options, certificate })
      } catch (error) {
        if (!(error instanceof Error)) throw error
        throw new Error(`${error.message}\n  ${describeStuck(process.pid, process.port)}`, { cause: error })
      }
    })
  } finally {
    await process.stop()
  }
}

/** What one load cost. */
export interface Cost {
  readonly cpuSeconds: number
  /** What the load before it cost, in a process that had done nothing yet; a proxy needs no warming, and has none. */
  readonly warmUpCpuSeconds?: number
  readonly received: Received
}

/** The CPU seconds of one load, after those that warm up, of which the first is counted too. */
export async function costOf(
  bench: Bench,
  subject: Subject,
  [first, ...others]: readonly [LoadOptions, ...LoadOptions[]],
  options: LoadOptions,
): Promise<Cost> {
  if (subject.isProxy) return withProxy(bench, subject, options, measure)
  return withSubject(bench, subject, options.certificate, async (process, carry) => {
    const cold = await measure(process, () => carry(first))
    for (const warmUp of others) await carry(warmUp)
    const warm = await measure(process, () => carry(options))
    return { ...warm, warmUpCpuSeconds: cold.cpuSeconds }
  })
}

async function measure(process: SubjectProcess, carry: () => Promise<Received>): Promise<Cost> {
  const before = process.cpuSeconds()
  const received = await carry()
  return { cpuSeconds: process.cpuSeconds() - before, received }
}

/** The origin must be there before the proxy that names it, and knows how many transfers will come. */
async function withProxy<T>(
  { programs }: Bench,
  subject: Subject,
  options: LoadOptions,
  use: (process: SubjectProcess, carry: () => Promise<Received>) => Promise<T>,
): Promise<T> {
  const { certificate } = options
  const origin = await startOrigin(programs, options)
  try {
    const process = await startSubject((port) =>
      subject.command({ port, originPort: origin.port, certificate }),
    )
    try {
      return await use(process, () => runLoad(programs, subject, process.port, options, origin))
    } finally {
      await process.stop()
    }
  } finally {
    await origin.stop()
  }
}
