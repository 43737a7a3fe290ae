import type { Programs } from './compile.js'
import { type LoadOptions, type Received, runLoad, startOrigin } from './load.js'
import { jainIndex, quantile } from './statistics.js'
import { type SubjectProcess, startSubject } from './subject-process.js'
import type { Certificate, Subject } from './subjects.js'

/** What one run of one subject may use. */
export interface Bench {
  readonly programs: Programs
  readonly certificate: Certificate | undefined
  readonly isQuick: boolean
}

/** How one number of a scenario is shown. */
export interface Metric {
  readonly title: string
  readonly digits: number
}

/** Something that is done with each subject, started fresh, in every run. */
export interface Scenario {
  readonly title: string
  /** Columns; the first is the one that is compared with piping-server's. */
  readonly metrics: Readonly<Record<string, Metric>>
  readonly subjects: readonly string[]
  readonly runs: number
  readonly quickRuns: number
  readonly needsTls?: true
  run(bench: Bench, subject: Subject): Promise<Readonly<Record<string, number>>>
}

const GIB = 2 ** 30
const MIB = 2 ** 20
const ALL_ESS = ['ess', 'ess-streams', 'ess-sockets', 'ess-splice'] as const
const CPU_PER_GIB = { cpuPerGiB: { title: 'CPU s/GiB', digits: 3 }, gibPerS: { title: 'GiB/s', digits: 2 } }

export type ScenarioName =
  | 'length'
  | 'chunked'
  | 'tls'
  | 'multipart'
  | 'small'
  | 'first-byte'
  | 'fairness'
  | 'slow'
  | 'waiting'

export const SCENARIOS: Readonly<Partial<Record<ScenarioName, Scenario>>> = {
  length: {
    title: 'One large body, Content-Length',
    metrics: CPU_PER_GIB,
    subjects: [...ALL_ESS, 'piping-server', 'node-pipe', 'hono', 'nginx', 'haproxy', 'c-copy', 'c-splice'],
    runs: 7,
    quickRuns: 2,
    run: (bench, subject) => bulk(bench, subject, { bytes: bench.isQuick ? GIB : 3 * GIB }),
  },
  chunked: {
    title: 'One large body, chunked',
    metrics: CPU_PER_GIB,
    subjects: ['ess', 'ess-streams', 'ess-sockets', 'piping-server', 'node-pipe', 'hono', 'nginx', 'haproxy'],
    runs: 7,
    quickRuns: 2,
    run: (bench, subject) =>
      bulk(bench, subject, { bytes: bench.isQuick ? GIB : 2 * GIB, framing: 'chunked' }),
  },
  'first-byte': {
    title: 'From the GET to its first byte',
    metrics: { p50Us: { title: 'p50 µs', digits: 0 }, p99Us: { title: 'p99 µs', digits: 0 } },
    subjects: [...ALL_ESS, 'piping-server', 'node-pipe', 'hono', 'c-copy', 'c-splice'],
    runs: 5,
    quickRuns: 2,
    run: firstByte,
  },
  small: {
    title: 'Transfers of 1 KiB, 50 at once',
    metrics: { cpuUs: { title: 'CPU µs each', digits: 0 } },
    subjects: [...ALL_ESS, 'piping-server', 'node-pipe', 'hono', 'nginx', 'haproxy', 'c-copy', 'c-splice'],
    runs: 5,
    quickRuns: 2,
    run: small,
  },
}

/** Carries one load after another through a subject. */
type Carry = (options: LoadOptions) => Promise<Received>

/** Starts a subject for `use` alone, behind it an origin for each load if it is a proxy, and ends it afterwards. */
async function withSubject<T>(
  { programs }: Bench,
  subject: Subject,
  certificate: Certificate | undefined,
  use: (process: SubjectProcess, carry: Carry) => Promise<T>,
): Promise<T> {
  const process = await startSubject((port) => subject.command({ port, originPort: 0, certificate }))
  try {
    return await use(process, (options) =>
      runLoad(programs, subject, process.port, { ...options, certificate }),
    )
  } finally {
    await process.stop()
  }
}

/** As `withSubject`, for exactly one load: the origin behind a proxy must be there before it. */
async function withProxy<T>(
  { programs }: Bench,
  subject: Subject,
  options: LoadOptions,
  use: (process: SubjectProcess, carry: () => Promise<Received>) => Promise<T>,
): Promise<T> {
  const origin = await startOrigin(programs, options)
  try {
    const process = await startSubject((port) =>
      subject.command({ port, originPort: origin.port, certificate: options.certificate }),
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

/** The CPU seconds of one load, after one that warms up; a proxy needs no warming. */
async function costOf(
  bench: Bench,
  subject: Subject,
  warmUp: LoadOptions,
  options: LoadOptions,
): Promise<{ cpuSeconds: number; received: Received }> {
  const measure = async (process: SubjectProcess, carry: () => Promise<Received>) => {
    const before = process.cpuSeconds()
    const received = await carry()
    return { cpuSeconds: process.cpuSeconds() - before, received }
  }
  if (subject.isProxy) return withProxy(bench, subject, options, measure)
  return withSubject(bench, subject, options.certificate, async (process, carry) => {
    await carry(warmUp)
    return measure(process, () => carry(options))
  })
}

async function bulk(bench: Bench, subject: Subject, options: LoadOptions) {
  const { cpuSeconds, received } = await costOf(bench, subject, { ...options, bytes: 64 * MIB }, options)
  const gib = received.bytes / GIB
  return { cpuPerGiB: cpuSeconds / gib, gibPerS: gib / received.seconds }
}

async function small(bench: Bench, subject: Subject) {
  const one = { bytes: 1024, atOnce: 50 }
  const transfers = bench.isQuick ? 3000 : 6000
  const { cpuSeconds } = await costOf(bench, subject, { ...one, transfers: 1000 }, { ...one, transfers })
  return { cpuUs: (cpuSeconds / transfers) * 1e6 }
}

async function firstByte(bench: Bench, subject: Subject) {
  const options = (transfers: number) => ({
    bytes: 64 * 1024,
    transfers,
    // Long enough for the body to lie there when the receiver asks, as it does when somebody waits for a person.
    receiver: { 'first-byte': 1, 'pause-us': 4000 },
  })
  return withSubject(bench, subject, undefined, async (_process, carry) => {
    await carry(options(100))
    const { firstByteUs } = await carry(options(bench.isQuick ? 200 : 300))
    return { p50Us: quantile(firstByteUs, 0.5), p99Us: quantile(firstByteUs, 0.99) }
  })
}

export { jainIndex }
