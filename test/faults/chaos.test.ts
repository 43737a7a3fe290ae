import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { download, send } from '../../client/index.js'
import type { StatusEvent } from '../../shared/index.js'
import { sha256OfFile, streamOf, writeFileOf } from '../helpers/bytes.js'
import { runEss } from '../helpers/run-ess.js'
import { NO_CLIENT_LIMITS } from '../helpers/start-server.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { type Direction, type Fault, startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until, within } from '../helpers/within.js'

/** The same transfers and cuts for the same seed. */
const SEED = Number(process.env['ESS_CHAOS_SEED'] ?? 1)
const RUNS = Number(process.env['ESS_CHAOS_RUNS'] ?? 200)
/** So many at once. */
const AT_ONCE = 4
/** A transfer waits up to 10 s after a cut, and has seven cuts at most. */
const ENOUGH_MS = 150_000

const LEGS = ['sender', 'receiver'] as const
type Leg = (typeof LEGS)[number]

/** One fault on one leg, when so many bytes have passed since the one before. */
interface Cut {
  readonly leg: Leg
  readonly direction: Direction
  readonly fault: Fault
  /** In thousandths of the file; of 1,200 bytes, which is less than an answer, against the stream. */
  readonly after: number
}

const ANYWHERE: readonly Fault[] = [
  { kind: 'rst' },
  { kind: 'delay', ms: 200 },
  { kind: 'split', bytes: 1000 },
]
/**
 * What these do on the receiver's leg is a lie that no server can see through: a proxy takes the last bytes, throws them
 * away, and closes in good order.
 */
const AT_THE_SENDER: readonly Fault[] = [...ANYWHERE, { kind: 'fin' }, { kind: 'half-close' }]

const cutsOf = (leg: Leg, faults: readonly Fault[]): fc.Arbitrary<Cut> =>
  fc.record({
    leg: fc.constant(leg),
    direction: fc.constantFrom<Direction[]>('up', 'down'),
    fault: fc.constantFrom(...faults),
    after: fc.integer({ min: 0, max: 1000 }),
  })
const cuts = fc.oneof(cutsOf('sender', AT_THE_SENDER), cutsOf('receiver', ANYWHERE))

const MAX_BYTES = 64 * 1024 * 1024
/** A pipe's sender keeps its last 16 MiB, and on one machine more than that can be on its way. */
const MAX_PIPED_BYTES = 16 * 1024 * 1024

const transfers = fc
  .record({
    size: fc.oneof(
      fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 1024 * 1024, MAX_BYTES),
      fc.integer({ min: 0, max: 300_000 }),
      fc.integer({ min: 0, max: 16 * 1024 * 1024 }),
    ),
    isPipe: fc.boolean(),
    // A process takes half a second of CPU to start. One that receives is not cut itself: nothing tells when it has begun.
    senders: fc.integer({ min: 0, max: 9 }).map((one) => (one === 0 ? 'process' : 'library')),
    receivers: fc.constantFrom('file', 'file', 'file', 'stream', 'stream', 'process'),
    cuts: fc.array(cuts, { minLength: 0, maxLength: 6, size: 'max' }),
  })
  .map((one) => (one.isPipe ? { ...one, size: Math.min(one.size, MAX_PIPED_BYTES) } : one))

type Transfer = (typeof transfers extends fc.Arbitrary<infer T> ? T : never) & object

test(`cut connections lose and double nothing, and nothing is told that isn't so`, {
  timeout: ENOUGH_MS + RUNS * 5000,
}, async () => {
  console.log(`chaos: ESS_CHAOS_SEED=${SEED} ESS_CHAOS_RUNS=${RUNS}`)
  const server = await startServerHere(
    '--resume-within',
    '60',
    '--max-upload-bytes',
    '0',
    ...NO_CLIENT_LIMITS,
  )
  const queue = [...fc.sample(transfers, { seed: SEED, numRuns: RUNS }).entries()]
  const wrong: string[] = []
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, transfer] = next
      const told = await play(transfer, server.port).catch((error: unknown) => String(error))
      if (told !== 'whole') wrong.push(`${index} ${JSON.stringify(transfer)}: ${told}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  expect(wrong).toEqual([])
})

async function play(transfer: Transfer, port: number): Promise<string> {
  const roads: Readonly<Record<Leg, TcpProxy>> = {
    sender: await startTcpProxy(port),
    receiver: await startTcpProxy(port),
  }
  const stop = new AbortController()
  // Before its link, a sender has nothing to go on with; and before its head, a receiver.
  const begin = (leg: Leg) => void strikeAll(roads[leg], transfer, leg, stop.signal)
  try {
    return await within(ENOUGH_MS, 'the transfer', carry(transfer, roads, begin))
  } finally {
    stop.abort()
    await Promise.all(LEGS.map((leg) => roads[leg].close()))
  }
}

/** One after the other, each as many bytes behind the one before. */
async function strikeAll(
  road: TcpProxy,
  { size, cuts: all }: Transfer,
  leg: Leg,
  signal: AbortSignal,
): Promise<void> {
  const along: Direction = leg === 'sender' ? 'up' : 'down'
  for (const { fault, direction, after } of all.filter((cut) => cut.leg === leg)) {
    if (signal.aborted) return
    await road.arm(fault, direction, Math.floor(((direction === along ? size : 1200) * after) / 1000))
  }
}

async function carry(
  transfer: Transfer,
  roads: Readonly<Record<Leg, TcpProxy>>,
  begin: (leg: Leg) => void,
): Promise<string> {
  const { size } = transfer
  const folder = await tempDir()
  const file = join(folder, 'file')
  const expected = await writeFileOf(file, size)
  const at = (leg: Leg) => `http://127.0.0.1:${roads[leg].port}`
  const sender = await startSender(transfer, at('sender'), file)
  begin('sender')
  const received = await receive(transfer, at('receiver'), sender.id, join(folder, 'copy'), () =>
    begin('receiver'),
  )
  const delivered = await sender.delivered
  if (delivered !== size) return `the sender was told of ${delivered} bytes`
  if (received !== expected) return 'the receiver has other bytes'
  const left = (await readdir(folder)).filter((name) => name !== 'file' && name !== 'copy')
  return left.length === 0 ? 'whole' : `left behind: ${left}`
}

/** `delivered` is how many bytes the sender was told of. */
async function startSender({ senders, isPipe, size }: Transfer, server: string, file: string) {
  if (senders === 'process') {
    const program = await runEss(server, ['send', '--json', ...(isPipe ? [] : [file])], {
      ...(isPipe && { stdin: { file } }),
    })
    const [, id = ''] = await program.untilStdout(/"id":"([^"]+)"/, ENOUGH_MS)
    const delivered = program.ended(ENOUGH_MS).then(({ code, stdout, stderr }) => {
      const [, bytes] = /"event":"delivered","bytes":(\d+)/.exec(stdout.toString()) ?? []
      if (code !== 0) throw new Error(`ess send exits with ${code}: ${stderr}`)
      return Number(bytes)
    })
    delivered.catch(() => {}) // The receiver may fail first, and is awaited first.
    return { id, delivered }
  }
  const sending = send(isPipe ? streamOf(size) : file, { server })
  const events: StatusEvent[] = []
  const reading = (async () => {
    for await (const event of sending) events.push(event)
  })()
  reading.catch(() => {}) // So does the verdict.
  sending.verdict.catch(() => {})
  await until('the link is there', () => events.length > 0, ENOUGH_MS)
  const [opened] = events
  const delivered = sending.verdict.then(({ bytes }) => bytes)
  delivered.catch(() => {})
  return { id: opened?.event === 'opened' ? opened.id : '', delivered }
}

/** The SHA-256 of what was received. */
async function receive(
  { receivers }: Transfer,
  server: string,
  id: string,
  copy: string,
  onOffer: () => void,
): Promise<string> {
  if (receivers === 'process') {
    const { code, stderr } = await (await runEss(server, ['get', id, '-o', copy])).ended(ENOUGH_MS)
    if (code !== 0) throw new Error(`ess get exits with ${code}: ${stderr}`)
    return await sha256OfFile(copy)
  }
  if (receivers === 'file') {
    await download(id, { server, to: { file: copy }, onOffer })
    return await sha256OfFile(copy)
  }
  const hash = createHash('sha256')
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done()
    },
  })
  await download(id, { server, to: { stream }, onOffer })
  return hash.digest('hex')
}
