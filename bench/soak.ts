// Everything at once for a while, and the truth about each of it: thousands of waiting sockets, hundreds of
// transfers at all speeds, and peers that are cut. Ends with 1 when anything was lost, false, or left over.
import { createCipheriv, createHash, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ROOT } from './set-up.js'
import { drawPlan, MAX_BYTES } from './soak/plan.js'
import { type Random, seededRandom } from './soak/random.js'
import { type Held, type SoakedServer, startServer } from './soak/server.js'
import { transfer } from './soak/transfer.js'
import { hold } from './soak/waiting.js'

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, seed: { type: 'string' } },
})
const SECONDS = flags.quick ? 30 : 480
const WARM_UP_SECONDS = flags.quick ? 5 : 20
const WAITING = 5000
const AT_ONCE = 200
/** Between two transfers of the same worker, so that starting them is not all that happens. */
const MAX_PAUSE_MS = 300

const SERVER_FLAGS = [
  ...['--reservations', '--max-sockets', '20000', '--ttl', '3600'],
  // All of the load is of one address.
  ...['--max-sockets-per-client', '0', '--max-reservations-per-client', '0'],
  ...['--max-waiting-per-client', '0', '--max-misses-per-client', '0'],
  ...['--max-connections-per-client', '0'],
  // A cut sender that waits is noticed by these.
  ...['--heartbeat', '4', '--stall-timeout', '8'],
]

/** A link that is over is remembered for ten minutes: the id, when and how. */
const HEAP_FOR_EACH_ENDED = 600
const HEAP_SPARE = 2 * 2 ** 20
/**
 * V8 keeps pages, and malloc its arenas, that once were full: 32 MiB were seen with a heap that had grown by 1. What
 * leaks is seen in the heap, or grows beyond this in the long form.
 */
const RESIDENT_SPARE = 64 * 2 ** 20
const SETTLE_SECONDS = 60

const seed = flags.seed === undefined ? randomInt(2 ** 32) : Number(flags.seed)
if (!Number.isSafeInteger(seed)) throw new Error(`Expected --seed to be a whole number, got ${flags.seed}`)
console.log(`seed ${seed}; again with: npm run bench:soak -- --seed ${seed}${flags.quick ? ' --quick' : ''}`)

const falsehoods: string[] = []
const counts = {
  transfers: 0,
  delivered: 0,
  unconfirmed: 0,
  failed: 0,
  nothing: 0,
  cut: 0,
  bytes: 0,
  waited: 0,
}
const bodies = bytesFrom(seed, 2 * MAX_BYTES)
const random = seededRandom(seed)

const server = await startServer(join(ROOT, 'dist/server/main.js'), SERVER_FLAGS)
const { descriptors } = await server.held()
await round(server, random, WARM_UP_SECONDS)
await untilEnded(server)
const before = await settled(server, {
  descriptors,
  heapBytes: Number.POSITIVE_INFINITY,
  residentBytes: Number.POSITIVE_INFINITY,
})
const endedBefore = server.ledger.ended.size
say('before', before)

await round(server, random, SECONDS)
await untilEnded(server)
const bounds = {
  descriptors,
  heapBytes: before.heapBytes + HEAP_SPARE + HEAP_FOR_EACH_ENDED * (server.ledger.ended.size - endedBefore),
  residentBytes: before.residentBytes + RESIDENT_SPARE,
}
const after = await settled(server, bounds)
say('after', after)
for (const name of ['descriptors', 'heapBytes', 'residentBytes'] as const)
  if (after[name] > bounds[name])
    falsehoods.push(`Expected ${name} to be at most ${bounds[name]} in the end, got ${after[name]}`)
checkLedger(server)
const status = await server.stop()
if (status !== 0) falsehoods.push(`Expected ess-server to stop with 0, got ${status}`)

console.log(
  Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', '),
)
console.log([...server.ledger.outcomes].map(([outcome, count]) => `${outcome}: ${count}`).join(', '))
for (const falsehood of falsehoods) console.log(`false: ${falsehood}`)
console.log(falsehoods.length === 0 ? 'nothing lost, nothing false' : `${falsehoods.length} false`)
if (falsehoods.length > 0) process.exitCode = 1

/** Thousands wait while hundreds move; then those leave who waited. */
async function round(server: SoakedServer, random: Random, seconds: number): Promise<void> {
  const waiting = await hold(server.url, WAITING)
  const held = await server.held()
  say(`${waiting.count} wait`, held)
  const end = performance.now() + 1000 * seconds
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (performance.now() < end) {
        await oneTransfer(server)
        await sleep(random.between(0, MAX_PAUSE_MS))
      }
    }),
  )
  if (waiting.lost() > 0) falsehoods.push(`${waiting.lost()} waiting senders lost their connection`)
  counts.delivered += await waiting.leave(random)
  counts.waited += waiting.count
}

async function oneTransfer(server: SoakedServer): Promise<void> {
  const plan = drawPlan(random)
  counts.transfers++
  if (plan.cut !== undefined) counts.cut++
  try {
    const body = bodies.subarray(plan.offset, plan.offset + plan.bytes)
    const { verdict, bytes, falsehood } = await transfer(server.url, plan, body)
    counts[verdict]++
    counts.bytes += bytes
    if (falsehood !== undefined) falsehoods.push(`${falsehood}: ${JSON.stringify(plan)}`)
  } catch (error) {
    falsehoods.push(`${error instanceof Error ? error.message : error}: ${JSON.stringify(plan)}`)
  }
}

/** Every socket that began has ended: those that were cut are noticed in their own time. */
async function untilEnded(server: SoakedServer): Promise<void> {
  const { begun, ended } = server.ledger
  const deadline = performance.now() + 1000 * SETTLE_SECONDS
  while (ended.size < begun.size && performance.now() < deadline) await sleep(200)
}

/** What it holds when that is within the bounds, or at last. */
async function settled(server: SoakedServer, bounds: Held): Promise<Held> {
  const deadline = performance.now() + 1000 * SETTLE_SECONDS
  for (;;) {
    const held = await server.held()
    const isWithin =
      held.descriptors <= bounds.descriptors &&
      held.heapBytes <= bounds.heapBytes &&
      held.residentBytes <= bounds.residentBytes
    if (isWithin || performance.now() > deadline) return held
    await sleep(1000)
  }
}

/** One terminal line a socket, for as many sockets as were opened, and as many delivered as were told so. */
function checkLedger({ ledger: { begun, ended, outcomes } }: SoakedServer): void {
  const expected = counts.transfers + counts.waited
  if (begun.size !== expected) falsehoods.push(`Expected ${expected} sockets in the log, got ${begun.size}`)
  const unended = [...begun].filter((socket) => !ended.has(socket)).length
  if (unended > 0) falsehoods.push(`${unended} sockets never ended`)
  const twice = [...ended.values()].filter((times) => times !== 1).length
  if (twice > 0) falsehoods.push(`${twice} sockets ended more than once`)
  const delivered = counts.delivered + counts.unconfirmed
  if (outcomes.get('delivered') !== delivered)
    falsehoods.push(`Expected ${delivered} delivered in the log, got ${outcomes.get('delivered')}`)
}

function say(when: string, { residentBytes, heapBytes, descriptors }: Held): void {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  console.log(
    `${when}: ${mib(residentBytes)} resident, ${mib(heapBytes)} of heap, ${descriptors} descriptors`,
  )
}

/** Bytes without a pattern, the same from the same seed: bodies are pieces of them. */
function bytesFrom(seed: number, length: number): Buffer {
  const key = createHash('sha256').update(String(seed)).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}
