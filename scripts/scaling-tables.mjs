// Usage: scaling-tables.mjs [--check]
// Writes the tables of docs/scaling.md, each between two comments, from the results of the bench in bench/results. With
// --check it writes nothing, and exits with 1 if the page is not current. Page and results are those of the current
// folder.

import { readFileSync, writeFileSync } from 'node:fs'

const PAGE = 'docs/scaling.md'

/** What each node does in the table of many nodes. The page says the same in words. */
const EACH_NODE = { transfersPerS: 20, waiting: 1000, mibPerS: 100 }
const CLUSTERS = [3, 10, 100, 1000]
const WORKERS = [8, 32]

/** As in server/locator/redis.ts and redis-link.ts. */
const RENEWAL_S = 300
const TOMBSTONE_S = 600
const BEAT_S = 5
/** A node's entry in the list of nodes: its name, its address and a time, with the protocol of Redis around them. */
const ENTRY_BYTES = 100

const { nodes: ofNodes } = scenariosIn('nodes')
const { 'nodes-waiting': ofWaiting } = scenariosIn('nodes-waiting')
const { workers: ofWorkers } = scenariosIn('workers')
const [one, another] = ['at one node', 'at another node'].map((name) => figuresOf(ofNodes[name]))
const [curl, ess] = ['curl waits', 'ess waits'].map((name) => figuresOf(ofWaiting[name]))
const [alone, two] = ['ess', 'ess-2-workers'].map((name) => figuresOf(ofWorkers[name]))

const tables = {
  carried: carried(),
  waiting: waiting(),
  heartbeat: heartbeat(),
  workers: workers(),
  nodes: nodes(),
  stops: stops(),
}
const page = readFileSync(PAGE, 'utf8')
let current = page
for (const [name, rows] of Object.entries(tables)) current = withTable(current, name, rows)
if (current !== page) {
  if (process.argv.includes('--check')) {
    console.log(`${PAGE}: its tables are not current; npm run docs:scaling writes them`)
    process.exitCode = 1
  } else {
    writeFileSync(PAGE, current)
    console.log(`${PAGE}: written`)
  }
}

function withTable(text, name, [head, ...rows]) {
  const begin = `<!-- ${name}, written by npm run docs:scaling -->\n`
  const end = '<!-- end of table -->\n'
  const [before, rest] = text.split(begin)
  const at = rest?.indexOf(end) ?? -1
  if (at < 0) throw new Error(`${PAGE} has no place for the table ${name}: ${begin}${end}`)
  const lines = [head, head.map((_cell, column) => (column === 0 ? '---' : '---:')), ...rows]
  return `${before}${begin}${lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')}${rest.slice(at)}`
}

function scenariosIn(name) {
  return JSON.parse(readFileSync(`bench/results/${name}.json`, 'utf8')).scenarios
}

/** The median of each number over all runs that went well. */
function figuresOf(all) {
  const runs = all.filter((run) => Object.keys(run).length > 0)
  const names = Object.keys(runs[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, medianOf(runs.map((run) => run[name]))]))
}

function medianOf(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const [below, above] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.ceil((sorted.length - 1) / 2)],
  ]
  return (below + above) / 2
}

function carried() {
  const times = (name) => `${say(another[name] / one[name])} times`
  const more = (name) => `${say(another[name] - one[name])} more`
  const row = (words, name, compare) => [words, say(one[name]), say(another[name]), compare(name)]
  return [
    ['', 'at one node', 'at another node', ''],
    row('CPU of both nodes for a GiB, s', 'cpuPerGiB', times),
    row('CPU of both nodes for a transfer of 1 KiB, µs', 'smallCpuUs', times),
    row('from the `GET` to the first byte, µs', 'p50Us', more),
    row('`curl`: commands that the nodes send to Redis', 'sent', more),
    row('`curl`: commands that Redis runs, in scripts too', 'commands', more),
    row('`curl`: bytes to Redis', 'bytesIn', more),
    row('`curl`: bytes from Redis', 'bytesOut', more),
    row('`ess`: commands that the nodes send to Redis', 'essSent', more),
    row('`ess`: commands that Redis runs, in scripts too', 'essCommands', more),
    row('`ess`: bytes to Redis', 'essBytesIn', more),
    row('`ess`: bytes from Redis', 'essBytesOut', more),
    row('CPU of Redis for each command that it runs, µs', 'redisCpuUs', times),
  ]
}

function waiting() {
  const row = (words, name) => [words, say(curl[name]), say(ess[name])]
  return [
    ['', '`curl`', '`ess`'],
    row('memory of Redis, bytes', 'memoryBytes'),
    row('to open: commands that Redis runs', 'openCommands'),
    row('to open: bytes to Redis', 'openBytesIn'),
    row('to open: bytes from Redis', 'openBytesOut'),
    row('to wait five minutes: commands that Redis runs', 'renewCommands'),
    row('to wait five minutes: bytes to Redis', 'renewBytesIn'),
    row('to wait five minutes: bytes from Redis', 'renewBytesOut'),
    ['memory of Redis for ten minutes after the end, bytes', say(curl.endedBytes), 'the same'],
  ]
}

function heartbeat() {
  return [
    ['a heartbeat', ''],
    ['commands that Redis runs', say(curl.beatCommands)],
    ['bytes to Redis', say(curl.beatBytesIn)],
    ['bytes from Redis', say(curl.beatBytesOut)],
  ]
}

/** With two workers, half of the receivers land at the wrong one. */
function workers() {
  const ofCarrying = (two.cpuPerGiB - alone.cpuPerGiB) / (1 / 2)
  const cpuOf = (count) => alone.cpuPerGiB + ofCarrying * (1 - 1 / count)
  const counts = [1, 2, ...WORKERS]
  return [
    ['', 'one process', '2 workers', ...WORKERS.map((count) => `${count} workers, computed`)],
    ['receivers at the wrong worker', ...counts.map((count) => percent(1 - 1 / count))],
    ['CPU for a GiB, s', ...counts.map((count) => (count > 2 ? sayRoughly : say)(cpuOf(count)))],
    ['GiB a second from a core for each', ...counts.map((count) => sayRoughly(count / cpuOf(count)))],
    ['times one process', ...counts.map((count) => sayRoughly((count * alone.cpuPerGiB) / cpuOf(count)))],
  ]
}

function nodes() {
  const { transfersPerS, waiting: sockets, mibPerS } = EACH_NODE
  const others = (count) => 1 - 1 / count
  /** Of a number that another node adds to. */
  const mixed = (name, count) => one[name] + (another[name] - one[name]) * others(count)
  /** A second, of all nodes together. */
  const asked = (count, ofTransfer, ofRenewal, ofBeat) =>
    count * (transfersPerS * ofTransfer + (sockets * ofRenewal) / RENEWAL_S + ofBeat / BEAT_S)
  const commands = (count) => asked(count, mixed('essCommands', count), ess.renewCommands, ess.beatCommands)
  const bytesIn = (count) => asked(count, mixed('essBytesIn', count), ess.renewBytesIn, ess.beatBytesIn)
  const bytesOut = (count) => asked(count, mixed('essBytesOut', count), ess.renewBytesOut, ess.beatBytesOut)
  const cpu = (count) => (commands(count) * another.redisCpuUs) / 1e6
  const memory = (count) =>
    count * (sockets * ess.memoryBytes + transfersPerS * TOMBSTONE_S * curl.endedBytes)
  const row = (words, of) => [words, ...CLUSTERS.map(of)]
  return [
    ['', ...CLUSTERS.map((count) => `${say(count)} nodes`)],
    row('requests that are carried', (count) => percent(others(count))),
    row('CPU of the nodes for a GiB, times that of one node', (count) =>
      sayRoughly(1 + (another.cpuPerGiB / one.cpuPerGiB - 1) * others(count)),
    ),
    row('a node receives from others, and sends to them, MiB a second', (count) =>
      sayRoughly(mibPerS * others(count)),
    ),
    row('between all nodes, GiB a second', (count) => sayRoughly((count * mibPerS * others(count)) / 1024)),
    row('transfers a second', (count) => sayRoughly(count * transfersPerS)),
    row('commands that Redis runs a second', (count) => sayRoughly(commands(count))),
    row('to Redis, MB a second', (count) => sayRoughly(bytesIn(count) / 1e6)),
    row('from Redis, MB a second', (count) => sayRoughly(bytesOut(count) / 1e6)),
    row('CPU of Redis, cores; it has one', (count) => sayRoughly(cpu(count))),
    row('memory of Redis, MB', (count) => sayRoughly(memory(count) / 1e6)),
    row('from Redis when one node joins or leaves, MB', (count) =>
      sayRoughly((count * count * ENTRY_BYTES) / 1e6),
    ),
  ]
}

/** In a rolling restart, each node leaves once and joins once. */
function stops() {
  const ofTransfer = (another.essCommands * another.redisCpuUs) / 1e6
  const listBytes = 10e9
  return [
    ['what stops first', 'about'],
    [
      'half of the core of Redis is taken, by transfers of `ess` alone',
      `${sayRoughly(0.5 / ofTransfer)} a second`,
    ],
    [
      `in a rolling restart, Redis sends ${sayRoughly(listBytes / 1e9)} GB of lists of nodes`,
      `${sayRoughly(Math.cbrt(listBytes / (2 * ENTRY_BYTES)))} nodes`,
    ],
  ]
}

function percent(share) {
  // 99.9 % of something isn't all of it.
  return `${share > 0.99 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`
}

/** What was measured, with three digits, or as many as stand before the point. */
function say(number) {
  const digits = number === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(number))))
  return number.toLocaleString('en-US', { maximumFractionDigits: digits })
}

/** What was computed, with two digits. */
function sayRoughly(number) {
  return Number(number.toPrecision(2)).toLocaleString('en-US', { maximumFractionDigits: 6 })
}
