import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'
import { VERSION } from '../../shared/version.js'
import type { SocketInfo, SocketStats } from '../broker/events.js'
import type { Outcome, Phase } from '../broker/lifecycle.js'
import type { Service } from '../broker/service.js'
import type { ClusterView } from '../locator/locator.js'
import { GEARS } from '../relay/gears/pump.js'
import { clusterFigures, type Figure } from './cluster-figures.js'
import type { Log } from './log.js'

/** The metrics that the admin listener shows to Prometheus. */
export interface Metrics {
  readonly contentType: string
  /** All metrics, in Prometheus' text format. */
  text(): Promise<string>
}

/** Metrics as data, which one process can give another. */
export type MetricsAsData = readonly MetricObjectWithValues<MetricValue<string>>[]

/** The metrics of a service, for text or to be summed up with those of other processes. */
export interface ServiceMetrics extends Metrics {
  data(): Promise<MetricsAsData>
}

/** Seconds. A receiver that is told the link comes at once; one that must be found comes within the TTL. */
const WAITING_BUCKETS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600]
/** Seconds: from a 1 KiB file to a transfer that takes all night. */
const DURATION_BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400]
/** Seconds. The server's own share is below 1 ms. After 10 s, the head has been sent before the first byte. */
const FIRST_BYTE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10]

/** rate() and increase() miss a counter's first value, so those that must alarm are there from the start, at 0. */
const ALARMING = 'internal-error' satisfies Outcome

/** prom-client's old names for three of its gauges. Prometheus reserves the ending `_total` for counters. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`)

const OPEN_PHASES = ['reserved', 'waiting', 'streaming', 'interrupted'] as const satisfies readonly Phase[]

/**
 * Counts what a service does from now on. Figures that cost more than a counter, such as the sockets by phase, are
 * looked up when Prometheus asks.
 */
export function measureService(
  service: Service,
  log?: Pick<Log, 'lost'>,
  cluster?: ClusterView,
): ServiceMetrics {
  const registry = new Registry()
  const registers = [registry]
  const transfers = new Counter({
    name: 'ess_transfers_total',
    help: 'Sockets that have ended, by outcome and by the gear that moved the bytes (none: no receiver came)',
    labelNames: ['outcome', 'gear'],
    registers,
  })
  const relayed = new Counter({
    name: 'ess_relayed_bytes_total',
    help: 'Bytes handed to receivers, those of failed transfers too',
    registers,
  })
  const interruptions = new Counter({
    name: 'ess_interruptions_total',
    help: 'Transfers that lost a connection which may come back, by the side whose it was',
    labelNames: ['side'],
    registers,
  })
  const resumptions = new Counter({
    name: 'ess_resumptions_total',
    help: 'Transfers that went on after an interruption',
    registers,
  })
  const reopenings =
    cluster === undefined
      ? undefined
      : new Counter({
          name: 'ess_reopenings_total',
          help: 'Links opened again at this node after another one of the cluster had let them go, or died',
          registers,
        })
  const refusals = new Counter({
    name: 'ess_refusals_total',
    help: 'Requests answered with a problem, by its code',
    labelNames: ['code'],
    registers,
  })
  refusals.inc({ code: ALARMING }, 0)
  for (const gear of GEARS) transfers.inc({ outcome: ALARMING, gear }, 0)
  const waiting = new Histogram({
    name: 'ess_waiting_seconds',
    help: 'From the opening of a socket, or its reservation, to its receiver',
    buckets: WAITING_BUCKETS,
    registers,
  })
  const firstByte = new Histogram({
    name: 'ess_first_byte_seconds',
    help: "From the receiver's coming to the first byte handed on to it",
    buckets: FIRST_BYTE_BUCKETS,
    registers,
  })
  const durations = new Histogram({
    name: 'ess_transfer_duration_seconds',
    help: "From the receiver's coming to the end, however it ended",
    buckets: DURATION_BUCKETS,
    registers,
  })
  if (log !== undefined) countLostLines(log, registers)
  gaugesOf(service, registers)
  if (cluster !== undefined) {
    const carrying = () => service.nodes?.counts ?? { now: 0, all: 0, unreached: 0 }
    for (const figure of clusterFigures(cluster, carrying)) show(figure, registers)
  }
  const ofProcess = processRegistry()

  /** When a socket's receiver came, and how many of its bytes are counted already. */
  const running = new WeakMap<SocketInfo, { readonly since: number; counted: number }>()
  service.on('socket:connected', (socket) => {
    waiting.observe(socket.ageMs / 1000)
    running.set(socket, { since: performance.now(), counted: 0 })
  })
  // The bytes of a long transfer are counted while it runs.
  service.on('socket:progress', (socket, bytes) => {
    const transfer = running.get(socket)
    if (transfer === undefined) return
    relayed.inc(bytes - transfer.counted)
    transfer.counted = bytes
  })
  service.on('socket:interrupted', (_socket, side) => interruptions.inc({ side }))
  service.on('socket:resumed', (socket, offset) => {
    resumptions.inc()
    const transfer = running.get(socket)
    // Its receiver had come at another node.
    if (transfer === undefined) running.set(socket, { since: performance.now(), counted: offset })
    // Bytes that are sent again are relayed again, and a counter can't go back.
    else transfer.counted = Math.min(transfer.counted, offset)
  })
  service.on('socket:reopened', () => reopenings?.inc())
  const ended = (socket: SocketInfo, { outcome, gear, bytes, firstByteMs }: SocketStats) => {
    transfers.inc({ outcome, gear: gear ?? 'none' })
    const transfer = running.get(socket)
    if (transfer === undefined) return
    relayed.inc(Math.max(0, bytes - transfer.counted))
    durations.observe((performance.now() - transfer.since) / 1000)
    if (firstByteMs !== undefined) firstByte.observe(firstByteMs / 1000)
  }
  for (const event of ['socket:end', 'socket:timeout', 'socket:moved', 'error:socket'] as const)
    service.on(event, ended)
  service.on('request:refused', ({ code }) => refusals.inc({ code }))

  return {
    contentType: registry.contentType,
    text: async () => `${await registry.metrics()}\n${await ofProcess.metrics()}`,
    data: async () => [...(await registry.getMetricsAsJSON()), ...(await ofProcess.getMetricsAsJSON())],
  }
}

/**
 * Counts what the parent of several workers does, whose processes the figures are about: its own process's figures are
 * added to theirs. `restarts` is how many workers died and were started again, `workers` how many take connections.
 */
export function measureWorkers(
  counts: { readonly workers: () => number; readonly restarts: () => number },
  log: Pick<Log, 'lost'>,
): { data(): Promise<MetricsAsData> } {
  const registry = new Registry()
  const registers = [registry]
  new Gauge({
    name: 'ess_workers',
    help: 'Workers that take connections: at best as many as --workers says',
    registers,
    collect() {
      this.set(counts.workers())
    },
  })
  new Counter({
    name: 'ess_worker_restarts_total',
    help: 'Workers that died and were started again',
    registers,
    collect() {
      this.reset()
      this.inc(counts.restarts())
    },
  })
  countLostLines(log, registers)
  const ofProcess = processRegistry()
  return {
    data: async () => [...(await registry.getMetricsAsJSON()), ...(await ofProcess.getMetricsAsJSON())],
  }
}

/**
 * Puts the metrics of several processes together, each in its way: counters, histograms and most gauges are added up, a
 * limit or a version is the same for all, a lag is the average.
 */
export function sumUp(all: readonly MetricsAsData[]): Metrics & { data(): Promise<MetricsAsData> } {
  // It takes arrays of arrays, and its types say one array.
  const registry = AggregatorRegistry.aggregate(all as unknown as object[])
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    data: () => registry.getMetricsAsJSON(),
  }
}

/** The metrics that only grow, without the others: what stays of a process that has ended. */
export function onlyGrowing(metrics: MetricsAsData): MetricsAsData {
  return metrics.filter(({ type }) => type === GROWS.counter || type === GROWS.histogram)
}

/** prom-client has the names of types as text at run time, and as numbers in its types. */
const GROWS: Readonly<Record<'counter' | 'histogram', unknown>> = {
  counter: 'counter',
  histogram: 'histogram',
}

/** A log that can't be written can't say so itself. */
function countLostLines(log: Pick<Log, 'lost'>, registers: Registry[]): void {
  new Counter({
    name: 'ess_log_lines_lost_total',
    help: 'Lines of the log that could not be written: its disk is full, its reader has gone or has stopped reading',
    registers,
    collect() {
      this.reset()
      this.inc(log.lost())
    },
  })
}

/** The figures that are looked up when Prometheus asks. */
function gaugesOf(service: Service, registers: Registry[]): void {
  new Gauge({
    name: 'ess_sockets',
    help: 'Sockets that have not ended, by phase',
    labelNames: ['phase'],
    registers,
    collect() {
      const phases = service.sockets().map(({ phase }) => phase)
      for (const phase of OPEN_PHASES) this.set({ phase }, phases.filter((one) => one === phase).length)
    },
  })
  new Gauge({
    name: 'ess_sockets_limit',
    help: 'The most sockets at the same time: --max-sockets',
    aggregator: 'first',
    registers,
  }).set(service.options.maxSockets)
  new Gauge({
    name: 'ess_early_receivers',
    help: 'Receivers that wait for an id to appear',
    registers,
    collect() {
      this.set(service.counts().awaiting)
    },
  })
  new Gauge({
    name: 'ess_tombstones',
    help: 'Ids that have ended and are still answered with 410',
    registers,
    collect() {
      this.set(service.counts().tombstones)
    },
  })
  new Gauge({
    name: 'ess_accepting',
    help: '1 while senders are taken, 0 while the server stops',
    aggregator: 'max',
    registers,
    collect() {
      this.set(service.isAccepting ? 1 : 0)
    },
  })
  new Gauge({
    name: 'ess_build_info',
    help: 'Always 1: the version, the Node it runs on, and the best gear that works here',
    aggregator: 'first',
    labelNames: ['version', 'node', 'relay'],
    registers,
    collect() {
      // The relay may become ready, and so know its gear, only after the gauge was made.
      this.reset()
      this.set({ version: VERSION, node: process.version, relay: service.relay.gear }, 1)
    },
  })
}

/** Adds a figure that is looked up when Prometheus asks. */
function show({ name, help, kind, value }: Figure, registers: Registry[]): void {
  const first = value()
  const labelNames = typeof first === 'number' ? [] : [first.label]
  const add = (metric: Pick<Counter | Gauge, 'reset' | 'inc'>) => {
    const now = value()
    metric.reset()
    if (typeof now === 'number') metric.inc(now)
    else for (const [one, number] of Object.entries(now.of)) metric.inc({ [now.label]: one }, number)
  }
  if (kind === 'gauge') {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        add(this)
      },
    })
  } else {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        add(this)
      },
    })
  }
}

let ofThisProcess: Registry | undefined

/**
 * The metrics of the process: CPU, memory, descriptors, the event loop's lag, garbage collections. All services of a
 * process share one registry, because its observers can't be removed again. They keep no process alive.
 */
function processRegistry(): Registry {
  if (ofThisProcess === undefined) {
    ofThisProcess = new Registry()
    collectDefaultMetrics({ register: ofThisProcess })
    for (const name of MISNAMED) ofThisProcess.removeSingleMetric(name)
  }
  return ofThisProcess
}
