import { mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { pieces, sha256OfFile, writeFileOf } from './bytes.js'
import { eventsOf, type Receiver, type Sender, startSender, untilReceiving, verdictOf } from './peers.js'
import { type ClusterNode, type RollingCluster, rollingCluster } from './rolling-cluster.js'
import { runEss } from './run-ess.js'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js'
import { tempDir } from './temp-dir.js'
import { within } from './within.js'

/** How a sender sends, and how far its transfer is when its node is killed. */
export interface KilledTransfer {
  readonly what: 'file' | 'pipe' | 'folder'
  /** Further arguments of `ess send`. */
  readonly args: readonly string[]
  /**
   * - `waiting`: its receiver comes afterwards.
   * - `streaming`: both are there.
   * - `interrupted`: its receiver was killed before, and is typed again afterwards.
   */
  readonly phase: 'waiting' | 'streaming' | 'interrupted'
}

/** More than what the buffers between sender and receiver hold. */
const BYTES = 48 * 1024 * 1024
/** Slow enough that the first transfer still runs when the last one has begun, and their node is killed. */
const BYTES_PER_SECOND = 1024 * 1024

/**
 * The other nodes take a node for dead when three of its heartbeats are missed, after 15 s. A client that was refused
 * until then asks again within another 10 s.
 */
const NOTICED_MS = 60_000

/**
 * Starts a cluster of nodes with these flags, in whose first one all sockets of `open` are. The other two take their
 * receivers, and what goes on when that one stops or is killed.
 */
export async function withFirstNode<Opened>(
  open: (cluster: RollingCluster) => Promise<Opened>,
  ...flags: readonly string[]
): Promise<{ readonly cluster: RollingCluster; readonly first: ClusterNode; readonly opened: Opened }> {
  const cluster = await rollingCluster(3, '--reservations', ...flags)
  const [first, ...others] = cluster.nodes
  if (first === undefined) throw new Error('Expected three nodes')
  await first.start()
  const opened = await open(cluster)
  await Promise.all(others.map((node) => node.start()))
  return { cluster, first, opened }
}

/**
 * Kills the node of all these transfers, or freezes it. All of them arrive, and their senders and receivers end with 0.
 */
export async function expectToOutlive(
  transfers: readonly KilledTransfer[],
  by: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL',
): Promise<void> {
  const { cluster, first, opened } = await withFirstNode((cluster) => openAll(transfers, cluster))
  const begun = await beginAll(opened, cluster)
  first.signal(by)
  if (by === 'SIGKILL') await first.ended()
  // Until the balancer misses a frozen node, a receiver may come to that.
  else await Promise.all(begun.map(({ sender }) => sender.untilStdout(/"moved"/, 2 * NOTICED_MS)))
  await expectArrivals(begun, cluster)
}

/** Starts the senders. One after the other, because each is a process, and a small machine has two cores. */
export async function openAll(
  transfers: readonly KilledTransfer[],
  cluster: RollingCluster,
): Promise<readonly OpenTransfer[]> {
  const opened: OpenTransfer[] = []
  for (const transfer of transfers) opened.push(await openOne(transfer, cluster))
  return opened
}

/** Starts the receivers in the same way, and resolves when each transfer is as far as it shall be. */
export async function beginAll(
  opened: readonly OpenTransfer[],
  cluster: RollingCluster,
): Promise<readonly Begun[]> {
  const begun: Begun[] = []
  for (const one of opened) begun.push(await begin(one, cluster))
  return begun
}

/** All of them go on, and end well. */
export async function expectArrivals(begun: readonly Begun[], cluster: RollingCluster): Promise<void> {
  await Promise.all(begun.map((one) => expectArrival(one, cluster)))
}

/** A transfer whose link is there. */
export interface OpenTransfer extends KilledTransfer {
  readonly sender: Sender
  /** Of each file, by its name. */
  readonly hashes: ReadonlyMap<string, string>
}

/** A transfer that is as far as it shall be, and its receiver if it is there. */
export interface Begun extends OpenTransfer {
  /** Where the receiver writes. */
  readonly path: string
  readonly receiver: Receiver | undefined
  readonly proxy: TcpProxy | undefined
}

async function openOne(transfer: KilledTransfer, cluster: RollingCluster): Promise<OpenTransfer> {
  const folder = join(await tempDir(), 'sent')
  await mkdir(folder)
  const file = join(folder, 'one')
  const hashes = new Map([['one', await writeFileOf(file, BYTES)]])
  const { what, args } = transfer
  if (what === 'folder') hashes.set('two', await writeFileOf(join(folder, 'two'), 1000, 2))
  const source = what === 'pipe' ? 'held' : { file: what === 'file' ? file : folder }
  return { ...transfer, hashes, sender: await startSender('ess', cluster, source, args) }
}

async function begin(transfer: OpenTransfer, { port }: RollingCluster): Promise<Begun> {
  const { phase, what, sender } = transfer
  const path = join(await tempDir(), 'received')
  if (phase === 'waiting') {
    if (what === 'pipe') feed(transfer, 0)
    return { ...transfer, path, receiver: undefined, proxy: undefined }
  }
  const proxy = await startTcpProxy(port)
  onTestFinished(() => proxy.close())
  await proxy.strike({ kind: 'throttle', bytesPerSecond: BYTES_PER_SECOND })
  const link = sender.url.replace(`:${port}/`, `:${proxy.port}/`)
  const receiver: Receiver = { ...(await runEss(undefined, ['get', link, '-o', path])), tool: 'ess', path }
  if (what === 'pipe') feed(transfer, BYTES / 2)
  // What a folder is unpacked by may be there before the first request for its bytes.
  await Promise.all([untilReceiving(receiver), sender.untilStdout(/"connected"/)])
  if (phase === 'interrupted') {
    receiver.kill('SIGKILL')
    await sender.untilStdout(/"interrupted","side":"receiver"/)
    return { ...transfer, path, receiver: undefined, proxy }
  }
  return { ...transfer, path, receiver, proxy }
}

/** Writes what a pipe gets: the first bytes, or with 0 all of them. */
function feed({ sender }: OpenTransfer, firstBytes: number): void {
  const all = Buffer.concat([...pieces(BYTES)])
  if (firstBytes === 0) sender.stdin.end(all)
  else sender.stdin.write(all.subarray(0, firstBytes))
}

async function expectArrival(begun: Begun, { port }: RollingCluster): Promise<void> {
  const { what, args, phase, sender, path, proxy, hashes } = begun
  const name = `ess send ${args.join(' ')} of a ${what}, ${phase}`
  // No wait of ours for what it may do by itself.
  await proxy?.strike({ kind: 'throttle', bytesPerSecond: Number.POSITIVE_INFINITY })
  if (what === 'pipe' && phase !== 'waiting')
    sender.stdin.end(Buffer.concat([...pieces(BYTES)]).subarray(BYTES / 2))
  const link = sender.url.replace(`:${port}/`, `:${proxy?.port ?? port}/`)
  const receiver = begun.receiver ?? (await runEss(undefined, ['get', link, '-o', path]))
  const [got, told] = await within(
    2 * NOTICED_MS,
    `${name} goes on at another node`,
    Promise.all([receiver.ended(2 * NOTICED_MS), sender.ended(2 * NOTICED_MS)]),
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${sender.stdout()}\n${sender.stderr()}\n${receiver.stderr()}`)
  })
  const words = `${name}:\n${told.stdout}\n${told.stderr}\n${got.stderr}`
  expect([got.code, told.code], words).toEqual([0, 0])
  expect(verdictOf(told.stdout), words).toMatchObject({ event: 'delivered', confirmed: true })
  // It was the node that was lost, and neither of the two.
  expect(eventsOf(told.stdout), words).toContainEqual(expect.objectContaining({ side: 'sender' }))
  for (const [file, hash] of hashes)
    expect(await sha256OfFile(what === 'folder' ? join(path, file) : path), words).toBe(hash)
  expect(basename(path), dirname(path)).toBe('received')
}
