import { CIPHERS } from './ciphers.js'
import { PAIRINGS } from './pairings.js'
import { AT_ANOTHER_NODE, AT_ANOTHER_NODE_BY_TLS, AT_ONE_NODE, WAITING_FIELDS } from './placements.js'
import { BULK_METRICS, bulk } from './runs/bulk.js'
import { clients } from './runs/clients.js'
import { END_TO_END_METRICS, fileEndToEnd, folderEndToEnd } from './runs/end-to-end.js'
import { fairness } from './runs/fairness.js'
import { firstByte } from './runs/first-byte.js'
import { NODES_METRICS, nodes } from './runs/nodes.js'
import { NODES_WAITING_METRICS, nodesWaiting } from './runs/nodes-waiting.js'
import { SEALED, sealed } from './runs/sealed.js'
import { slowReceiver } from './runs/slow-receiver.js'
import { small } from './runs/small.js'
import { start } from './runs/start.js'
import { waiting } from './runs/waiting.js'
import { workers } from './runs/workers.js'
import { GIB, type Scenario } from './scenario.js'
import { STARTS } from './starts.js'

const ALL_ESS = ['ess', 'ess-streams', 'ess-sockets', 'ess-splice'] as const
const SIMPLE = ['node-pipe', 'hono'] as const
/** What is beside them where a transfer's bytes are the least of it. */
const SIMPLEST = [...SIMPLE, 'node-wire'] as const
const PROXIES = ['nginx', 'haproxy'] as const
const FLOOR = ['c-copy', 'c-splice'] as const
const REFERENCE = 'piping-server'

/** Everything that is measured, in this order. */
export const SCENARIOS = {
  length: {
    title: 'One large body, Content-Length',
    metrics: BULK_METRICS,
    subjects: [...ALL_ESS, REFERENCE, ...SIMPLE, ...PROXIES, ...FLOOR],
    reference: REFERENCE,
    runs: 7,
    run: (bench, subject) => bulk(bench, subject, { bytes: bench.isQuick ? 2 * GIB : 8 * GIB }),
  },
  chunked: {
    title: 'One large body, chunked',
    metrics: BULK_METRICS,
    subjects: ['ess', 'ess-streams', 'ess-sockets', REFERENCE, ...SIMPLE, ...PROXIES],
    reference: REFERENCE,
    runs: 7,
    run: (bench, subject) =>
      bulk(bench, subject, { bytes: bench.isQuick ? GIB : 4 * GIB, framing: 'chunked' }),
  },
  tls: {
    title: 'One large body, Content-Length, TLS on both legs',
    metrics: BULK_METRICS,
    subjects: ['ess', REFERENCE, ...PROXIES],
    reference: REFERENCE,
    runs: 5,
    needsTls: true,
    run: (bench, subject) =>
      bulk(bench, subject, { bytes: bench.isQuick ? GIB : 2 * GIB, certificate: bench.certificate }),
  },
  workers: {
    title: '20 transfers at once, TLS on both legs, by one process and by several workers',
    metrics: {
      gibPerS: { title: 'GiB/s', digits: 2 },
      cpuPerGiB: { title: 'CPU s/GiB', digits: 3 },
      leastShare: { title: 'least share of a worker', digits: 2 },
    },
    subjects: ['ess', 'ess-2-workers'],
    reference: 'ess',
    runs: 5,
    needsTls: true,
    run: workers,
  },
  nodes: {
    title: 'Two nodes: sender and receiver at one of them, or the receiver at the other',
    metrics: NODES_METRICS,
    subjects: [AT_ONE_NODE, AT_ANOTHER_NODE, AT_ANOTHER_NODE_BY_TLS],
    reference: AT_ONE_NODE,
    runs: 5,
    run: nodes,
  },
  'nodes-waiting': {
    title: 'Waiting senders at two nodes: what Redis holds and does',
    metrics: NODES_WAITING_METRICS,
    subjects: Object.keys(WAITING_FIELDS),
    reference: 'curl waits',
    runs: 1,
    run: nodesWaiting,
  },
  multipart: {
    title: 'One large file in multipart/form-data',
    metrics: BULK_METRICS,
    subjects: ['ess', REFERENCE],
    reference: REFERENCE,
    runs: 5,
    run: (bench, subject) => bulk(bench, subject, { bytes: GIB, framing: 'multipart' }),
  },
  small: {
    title: 'Transfers of 1 KiB, 50 at once',
    metrics: {
      cpuUs: { title: 'CPU us each', digits: 0 },
      firstCpuUs: { title: 'the first 1,000', digits: 0 },
    },
    subjects: [...ALL_ESS, REFERENCE, ...SIMPLEST, ...PROXIES, ...FLOOR],
    reference: REFERENCE,
    runs: 5,
    run: small,
  },
  'first-byte': {
    title: 'From the GET to its first byte',
    metrics: { p50Us: { title: 'p50 us', digits: 0 }, p99Us: { title: 'p99 us', digits: 0 } },
    subjects: [...ALL_ESS, REFERENCE, ...SIMPLEST, ...FLOOR],
    reference: REFERENCE,
    runs: 5,
    run: firstByte,
  },
  fairness: {
    title: '100 transfers at once',
    metrics: {
      jain: { title: "Jain's index", digits: 3 },
      ofOneAlone: { title: 'of one alone', digits: 2 },
      gibPerS: { title: 'GiB/s', digits: 2 },
    },
    subjects: [...ALL_ESS, REFERENCE, ...SIMPLE, ...FLOOR],
    reference: REFERENCE,
    runs: 3,
    needsTcpMemory: true,
    run: fairness,
  },
  slow: {
    title: 'A receiver of 1 MB/s before a fast sender: resident memory',
    metrics: {
      grownMiB: { title: 'MiB over idle', digits: 1 },
      driftMiB: { title: 'MiB later on', digits: 1 },
    },
    subjects: [...ALL_ESS, REFERENCE, ...SIMPLE, ...FLOOR],
    reference: REFERENCE,
    runs: 2,
    run: slowReceiver,
  },
  waiting: {
    title: 'Waiting senders that have each pushed 256 KiB',
    metrics: { kibPerSocket: { title: 'KiB each', digits: 1 } },
    subjects: ['ess', REFERENCE, ...SIMPLE, 'c-copy'],
    reference: REFERENCE,
    runs: 3,
    needsTcpMemory: true,
    run: waiting,
  },
  clients: {
    title: 'A file through ESS, from client to client: the CPU of the clients',
    metrics: {
      sendCpuPerGiB: { title: 'sender s/GiB', digits: 3 },
      getCpuPerGiB: { title: 'receiver s/GiB', digits: 3 },
      sendStart: { title: 'its start, s', digits: 3 },
      getStart: { title: 'its start, s', digits: 3 },
    },
    subjects: Object.keys(PAIRINGS),
    reference: 'curl to curl',
    runs: 5,
    run: clients,
  },
  start: {
    title: 'From the start of ess to its first link',
    metrics: { linkMs: { title: 'ms', digits: 1 } },
    subjects: Object.keys(STARTS),
    reference: 'node -e 0',
    runs: 7,
    run: start,
  },
  sealed: {
    title: 'A large file from ess to ess, from memory to /dev/null, plain and sealed',
    metrics: {
      sendCpuPerGiB: { title: 'sender s/GiB', digits: 3 },
      getCpuPerGiB: { title: 'receiver s/GiB', digits: 3 },
      relayCpuPerGiB: { title: 'relay s/GiB', digits: 3 },
      gibPerS: { title: 'GiB/s', digits: 2 },
      sendMiB: { title: 'sender MiB', digits: 0 },
      getMiB: { title: 'receiver MiB', digits: 0 },
    },
    subjects: ['ess', SEALED, ...Object.keys(CIPHERS)],
    reference: 'ess',
    runs: 5,
    run: sealed,
  },
  file: {
    title: 'A file of 1 GiB, from end to end, each through its own relay',
    metrics: END_TO_END_METRICS,
    subjects: [SEALED, 'ess', 'croc', 'croc --no-compress', 'croc, direct', 'wormhole', 'wormhole, direct'],
    reference: SEALED,
    runs: 3,
    run: fileEndToEnd,
  },
  folder: {
    title: 'A folder of 10,000 files of 4 KiB, from end to end, each through its own relay',
    metrics: END_TO_END_METRICS,
    subjects: [SEALED, 'ess', 'croc', 'croc --zip', 'croc, direct', 'wormhole', 'wormhole, direct'],
    reference: SEALED,
    runs: 2,
    run: folderEndToEnd,
  },
} as const satisfies Record<string, Scenario>

export type ScenarioName = keyof typeof SCENARIOS
