import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { get, type SendOptions, send } from '../../client/index.js'
import type { StatusEvent } from '../../shared/index.js'
import { bytesOf, sha256, writeFileOf } from './bytes.js'
import type { RollingCluster } from './rolling-cluster.js'
import { recordSecretsIn } from './suite-logs.js'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS, within } from './within.js'

/** What is under way while the nodes are restarted. */
export interface RestartLoad {
  /** Transfers whose bytes move. */
  readonly running: number
  /** Links that wait. Half of their receivers come while the nodes stop, the others when all nodes are new. */
  readonly waiting: number
  /** How many senders at the same time open a link, wait for its receiver, and begin anew, for as long as it all takes. */
  readonly beginning: number
}

/** How much of its file a receiver reads between two restarts. */
const STAGE_BYTES = 2 * 1024 * 1024
/** What the buffers between sender and receiver hold, and more: otherwise the last node would have nothing left to do. */
const BUFFERED_BYTES = 16 * 1024 * 1024

/** How the senders of the transfers that run, and of those that begin, differ. */
const KINDS: readonly { readonly name: string; readonly isPiped?: boolean; readonly options: SendOptions }[] =
  [
    { name: 'a file', options: {} },
    { name: 'a pipe', isPiped: true, options: {} },
    { name: 'an encrypted file', options: { encrypt: true } },
    { name: 'a file in pieces', options: { reserve: true } },
  ]

/** How long one that begins comes behind the one before. */
const PACE_MS = 100

/** How long a node may take to stop and start, with all that goes on beside it. */
const RESTART_MS = 60_000

/**
 * Ends one node after the other, each when the one before it is back, while transfers run, wait and begin. Every receiver
 * gets its file, byte for byte, by the link that was given out, and every sender is told so.
 */
export async function rollingRestart(
  { url, nodes }: RollingCluster,
  { running, waiting, beginning }: RestartLoad,
): Promise<void> {
  await Promise.all(nodes.map((node) => node.start()))
  const folder = await tempDir()
  const path = join(folder, 'running')
  const expected = await writeFileOf(path, nodes.length * STAGE_BYTES + BUFFERED_BYTES)
  const stages = new Stages(nodes.length)

  const moving = await Promise.all(
    Array.from({ length: running }, async (_, index) => {
      const { name, isPiped = false, options } = KINDS[index % KINDS.length] ?? { name: '', options: {} }
      const transfer = await open(isPiped ? createReadStream(path) : path, { server: url, ...options })
      const stream = await within(DEADLINE_MS, `${name} begins`, get(transfer.link))
      const received = hashOf(stream, (bytes) => stages.reached(bytes))
      // It is awaited at the end.
      received.catch(() => {})
      return { name, ...transfer, received }
    }),
  )
  const links = await Promise.all(
    Array.from({ length: waiting }, async (_, index) => {
      const own = join(folder, `waiting-${index}`)
      const content = bytesOf(1000 + index, 1 + index)
      await writeFile(own, content)
      return { ...(await open(own, { server: url, ttl: 600 })), content }
    }),
  )
  await within(DEADLINE_MS, 'all transfers run', stages.untilAllWait(running))

  const newcomers = Array.from({ length: beginning }, (_, lane) => new Newcomers(url, folder, lane))
  const fetched: Promise<unknown>[] = []
  const left = [...links]
  for (const node of nodes) {
    node.signal('SIGTERM')
    const coming = left.splice(0, Math.ceil(links.length / 2 / nodes.length))
    const fetching = Promise.all(coming.map(fetchLink))
    // It is awaited at the end.
    fetching.catch(() => {})
    fetched.push(fetching)
    expect((await node.ended(RESTART_MS)).code).toBe(0)
    await node.start()
    stages.next()
  }
  for (const lane of newcomers) expect(await lane.stop()).toBeGreaterThan(nodes.length)

  for (const one of moving) {
    const { name, received, verdict } = one
    expect(await told(`${name} arrives`, received, one), name).toBe(expected)
    // Not confirmed where a receiver that waits here had everything in its kernel's buffers for half a minute.
    expect(await told(`the sender of ${name} is told`, verdict, one)).toMatchObject({ event: 'delivered' })
  }
  await Promise.all([...fetched, ...left.map(fetchLink)])
  // Else the restarts were nothing to them.
  const all = [...moving, ...left]
  expect(all.filter(({ events }) => events.some(({ event }) => event === 'moved')).length).toBe(all.length)
}

/** Receives what a link that has waited is for. */
async function fetchLink(
  one: Awaited<ReturnType<typeof open>> & { readonly content: Buffer },
): Promise<void> {
  const { link, content, verdict } = one
  const got = await told('a link that waited is fetched', get(link).then(buffer), one)
  expect(sha256(got)).toBe(sha256(content))
  expect(await told('its sender is told', verdict, one)).toMatchObject({
    event: 'delivered',
    confirmed: true,
  })
}

/** Transfers that begin, one after the other, from now on. */
class Newcomers {
  readonly #over: Promise<number>
  #isOver = false

  constructor(url: string, folder: string, lane: number) {
    this.#over = this.#begin(url, folder, lane)
    // It is awaited at the end.
    this.#over.catch(() => {})
  }

  /** Begins no more. Resolves with how many there were, when all of them have arrived. */
  stop(): Promise<number> {
    this.#isOver = true
    return this.#over
  }

  async #begin(url: string, folder: string, lane: number): Promise<number> {
    let count = 0
    while (!this.#isOver) {
      // The nodes on this machine want to restart, too.
      await delay(PACE_MS)
      const {
        name,
        isPiped = false,
        options,
      } = KINDS[(lane + count) % KINDS.length] ?? { name: '', options: {} }
      const path = join(folder, `beginning-${lane}`)
      const content = bytesOf(1 + lane + count, 1 + count)
      await writeFile(path, content)
      const one = await open(isPiped ? createReadStream(path) : path, { server: url, ...options })
      const got = await told(`${name} that began meanwhile arrives`, get(one.link).then(buffer), one)
      expect(sha256(got), name).toBe(sha256(content))
      expect(await told(`the sender of ${name} is told`, one.verdict, one)).toMatchObject({
        event: 'delivered',
      })
      count++
    }
    return count
  }
}

/** What comes of it, or how it or its sender failed, and what that one was told. */
async function told<T>(
  name: string,
  work: Promise<T>,
  { events, verdict }: { readonly events: readonly StatusEvent[]; readonly verdict: Promise<unknown> },
): Promise<T> {
  const failed = verdict.then(() => work)
  return await within(RESTART_MS, name, Promise.race([work, failed])).catch((error: unknown) => {
    const words = events.map((event) => JSON.stringify(event)).join('\n')
    throw new Error(`${name}: ${String(error)}\n${words}`, { cause: error })
  })
}

/** Starts a sender, and resolves when its link is there. */
async function open(source: string | Readable, options: SendOptions) {
  const { verdict, ...sending } = send(source, options)
  const iterator = sending[Symbol.asyncIterator]()
  const { value: first } = await within(DEADLINE_MS, 'a link is opened', iterator.next())
  if (first?.event !== 'opened') throw new Error(`Expected opened, got ${first?.event}`)
  recordSecretsIn(JSON.stringify(first))
  const events: StatusEvent[] = [first]
  void (async () => {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
      events.push(next.value)
  })().catch(() => {}) // The verdict tells it too.
  return { link: first.url, events, verdict }
}

/** Reads a download, and asks before it reads on. */
async function hashOf(stream: Readable, mayGoOn: (bytes: number) => Promise<void>): Promise<string> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of stream) {
    hash.update(chunk)
    bytes += chunk.length
    await mayGoOn(bytes)
  }
  return hash.digest('hex')
}

/** Receivers read a part of their file before each restart, and the rest after the last one. */
class Stages {
  readonly #count: number
  #done = 0
  #waiting = 0
  #changed: () => void = () => {}
  #change = this.#next()

  constructor(count: number) {
    this.#count = count
  }

  /** One more restart is done. */
  next(): void {
    this.#done++
    this.#waiting = 0
    this.#tell()
  }

  /** Resolves when a receiver may read on behind so many bytes. */
  async reached(bytes: number): Promise<void> {
    const done = this.#done
    if (done === this.#count || bytes < (done + 1) * STAGE_BYTES) return
    this.#waiting++
    this.#tell()
    while (this.#done === done) await this.#change
    await this.reached(bytes)
  }

  async untilAllWait(count: number): Promise<void> {
    while (this.#waiting < count) await this.#change
  }

  #tell(): void {
    const changed = this.#changed
    this.#change = this.#next()
    changed()
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve
    })
  }
}
