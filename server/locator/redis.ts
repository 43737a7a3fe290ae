import { createHmac } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type ClusterView,
  type Decided,
  type Found,
  type Kind,
  LET_GO_SECONDS,
  type Locator,
  type LocatorState,
  type Lost,
  type Moves,
  type Place,
  type SearchEnd,
  TOMBSTONE_SECONDS,
  type Trouble,
} from './locator.js'
import { OwedWrites } from './owed-writes.js'
import { RedisClients } from './redis-clients.js'
import type { RedisAddress } from './redis-connection.js'
import { RedisLink } from './redis-link.js'
import { runScript, scriptOf } from './redis-script.js'
import { Roster } from './roster.js'
import { SealedNames } from './sealed-names.js'
import { tagIn } from './tagged-ids.js'
import { LOOK_MS, withinFind } from './within-find.js'

/** What a node needs to take part in a cluster over Redis. */
export interface RedisLocatorOptions {
  /** This node. Neither its name nor its address may have white space in it. */
  readonly place: Place
  readonly redis: RedisAddress
  /** The cluster's secret. Keys are hashed with it, so that a reader of Redis can't download or upload. */
  readonly secret: string
  /** Told each time that Redis gets into trouble or out of it, and why. */
  readonly onTrouble?: (trouble: Trouble | undefined, cause: Error | undefined) => void
  /** Told the nodes each time that Redis has listed them. */
  readonly onListed?: (nodes: readonly Place[]) => void
}

/** How long a record lives unless it is renewed. A dead node is missed by its heartbeats, long before. */
const LEASE_SECONDS = 600
/** Each record is renewed this often, and set again if Redis has lost it. */
const RENEWAL_MS = 300_000
/** How often we look which records are due. */
const ROUND_MS = 10_000

/** After Redis has lost its records, it takes each node one heartbeat to notice, and a moment to set them again. */
const REFILL_MS = 10_000

/**
 * A node tells Redis of a new key in the turn of its loop after the one in which it tells its client. A client that is
 * quicker is found by its id's tag. A key that has none is looked for again after these pauses: a machine with too much to
 * do lets a node wait for its next turn.
 */
const PAUSES_MS = [50, 100]

/** The last words of a node may take so long. */
const FAREWELL_MS = 500

/** How many ends are kept for a Redis that is away. Without a tombstone there, the node that had the id says `gone`. */
const MAX_OWED_ENDS = 100_000

/** In the place of a life: it has ended. */
const GONE = 'gone'
/** In the place of a life: the node that had it stops. */
const LET_GO = 'let-go'

/** Only while the record is ours, or was lost: a sender may have moved to another node. */
const LEAVE = scriptOf(`local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end`)

/** Redis runs one script at a time: of several nodes, the first one gets the record. */
const CLAIM = scriptOf(`local owner = redis.call('GET', KEYS[1])
if owner == '${GONE}' then return owner end
local isFree = not owner or owner == '${LET_GO}' or owner == ARGV[1] or owner == ARGV[3]
if not isFree and redis.call('HGET', KEYS[2], owner) then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return ARGV[1]`)

/**
 * Sets an id again that was here before. This node may have been missed meanwhile, and its link opened again at another
 * one: whatever stands there is newer. Those who wait for the id are told if Redis had lost it.
 */
const KEEP = scriptOf(`local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
if not owner then redis.call('PUBLISH', KEYS[1], '') end
return ARGV[1]`)

/** A claim that an id makes, and who is told whose it is. */
interface Claim {
  readonly record: string
  readonly letGoBy: Place | undefined
  readonly decided?: ((whose: Decided) => void) | undefined
}

/** A key that is here. */
interface Here {
  readonly kind: Kind
  readonly key: string
  readonly dueMs: number
}

/** What Redis must be told of a key. `settle` is for a key that is new; what may be there already is renewed. */
type Write =
  | { readonly verb: 'settle'; readonly kind: Kind }
  | { readonly verb: 'renew' }
  | {
      readonly verb: 'leave'
      readonly as: typeof GONE | typeof LET_GO
      readonly seconds: number
      readonly untilMs: number
    }

/** A record that some wait for. */
interface Awaited {
  readonly waiting: Set<() => void>
  /** Is told by Redis that it is there. */
  readonly told: () => void
}

/** Takes part in a cluster over Redis or Valkey. Connects by itself, now and whenever the connection is lost. */
export function openRedisLocator(options: RedisLocatorOptions): RedisLocator {
  return new RedisLocator(options)
}

/** A node's view of a cluster over Redis. */
export class RedisLocator implements Locator, ClusterView {
  readonly #options: RedisLocatorOptions
  readonly #link: RedisLink
  readonly #roster: Roster
  readonly #owed: OwedWrites<Write>
  readonly clients: RedisClients
  readonly moves: Moves = {
    letGo: (kind, key) => this.#forget(kind, key, LET_GO, LET_GO_SECONDS),
    claim: async (id, letGoBy, decided) => {
      const claim = { record: this.#recordOf('id', id), letGoBy, decided }
      const claimed = this.#link.isPrompt ? await withinFind(this.#claim(claim)) : 'failed'
      if (claimed !== 'late' && claimed !== 'failed') return claimed
      // A claim may be made twice: one that was too late has told the store already.
      this.#claims.add(claim)
      this.#makeClaims()
      return 'unknown'
    },
    onLost: (lost) => {
      this.#lost = lost
    },
  }
  /** Those that the store has not answered in time. */
  readonly #claims = new Set<Claim>()
  /** What is here, and when it must be renewed; the first one first. */
  readonly #here = new Map<string, Here>()
  #lost: Lost = () => undefined
  readonly #awaited = new Map<string, Awaited>()
  readonly #round: NodeJS.Timeout
  /** Records may be missing until this time of `performance.now`. */
  #isRefilledAtMs = 0
  #isClosed = false
  readonly #searches: Record<SearchEnd, number> = { record: 0, tag: 0, gone: 0, unknown: 0, none: 0 }
  #late = 0

  constructor(options: RedisLocatorOptions) {
    this.#options = options
    for (const text of Object.values(options.place))
      if (!/^\S+$/.test(text))
        throw new TypeError(`Expected a node's name and address without white space, got "${text}"`)
    this.#link = new RedisLink(options.redis, {
      onConnected: () => this.#onConnected(),
      onTrouble: (trouble, cause) => this.#onTrouble(trouble, cause),
      probe: () => this.#roster.beat(),
    })
    this.#roster = new Roster(
      options.place,
      this.#hash('cluster', ''),
      this.#link,
      () => this.#refill(),
      options.onListed,
    )
    this.clients = new RedisClients(
      this.#link,
      this.#roster,
      (client) => this.#hash('client', client),
      new SealedNames(options.secret),
    )
    this.#owed = new OwedWrites({
      isReady: () => this.#link.takesWrites,
      write: (key, write) => this.#write(key, write),
      failed: (key, write, error) => this.#failed(key, write, error),
    })
    this.#round = setInterval(() => this.#renewDue(), ROUND_MS)
  }

  get self(): string {
    return this.#options.place.node
  }

  get state(): LocatorState {
    const { trouble } = this.#link
    return { isWell: trouble === undefined, trouble, nodes: this.#roster.places }
  }

  get counts(): ClusterView['counts'] {
    return {
      settled: this.#here.size,
      owed: this.#owed.count,
      commands: this.#link.sent,
      searches: this.#searches,
      late: this.#late,
    }
  }

  settle(kind: Kind, key: string): void {
    if (this.#isClosed) return
    const record = this.#recordOf(kind, key)
    this.#stay(record, kind, key)
    this.#owe(record, { verb: 'settle', kind })
    if (kind === 'id') this.#appeared(record)
  }

  async whenKnown(): Promise<void> {
    // Commands are sent a turn of the event loop later, when an answer to a client has gone out already. Redis does them
    // in their order, so its answer to this one says that it has done those before. Its user may not do PING.
    if (this.#link.isPrompt) await withinFind(this.#link.ask('GET', this.#recordOf('token', '')))
  }

  leave(kind: Kind, key: string): void {
    this.#forget(kind, key, GONE, kind === 'id' ? TOMBSTONE_SECONDS : 0)
  }

  async find(kind: Kind, key: string): Promise<Found> {
    const recorded = await this.#findByRecord(kind, key)
    const found =
      recorded === 'unasked' || recorded === undefined
        ? this.#findByTag(kind === 'id' ? tagIn(key) : undefined, recorded === undefined)
        : recorded
    this.#searches[endOf(found, recorded)]++
    return found
  }

  onSettled(id: string, found: () => void): () => void {
    const record = this.#recordOf('id', id)
    const others = this.#awaited.get(record) ?? { waiting: new Set(), told: () => this.#appeared(record) }
    const isFirst = others.waiting.size === 0
    const stop = () => {
      if (!others.waiting.delete(once) || others.waiting.size > 0) return
      if (this.#awaited.get(record) !== others) return
      this.#awaited.delete(record)
      // A connection that is lost has no subscriptions.
      this.#link.unsubscribe(record, others.told).catch(() => undefined)
    }
    const once = () => {
      if (!others.waiting.has(once)) return
      stop()
      found()
    }
    others.waiting.add(once)
    this.#awaited.set(record, others)
    if (this.#here.has(record)) queueMicrotask(once)
    else if (isFirst) this.#watchFor(record, others)
    else this.#lookFor(record)
    return stop
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#round)
    this.#awaited.clear()
    this.#claims.clear()
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FAREWELL_MS)
    })
    // Redis answers in order, so what was written before has arrived when this has. The others notice without it, too.
    const farewell = this.#roster.leave().catch(() => undefined)
    await Promise.race([farewell, deadline])
    clearTimeout(timer)
    this.#link.close()
  }

  /** It is no longer here. The record says so for this long; after 0 seconds there is none. */
  #forget(kind: Kind, key: string, as: typeof GONE | typeof LET_GO, seconds: number): void {
    const record = this.#recordOf(kind, key)
    if (!this.#here.delete(record) || this.#isClosed) return
    // It leaves no trace where it never was.
    if (!this.#link.isConnected && this.#owed.count >= MAX_OWED_ENDS) return
    this.#owe(record, {
      verb: 'leave',
      as,
      seconds,
      untilMs: performance.now() + 1000 * (seconds === 0 ? TOMBSTONE_SECONDS : seconds),
    })
  }

  /** Makes the claims that the store could not answer in time. What fails now is made again later. */
  #makeClaims(): void {
    for (const claim of this.#claims) {
      const whose = (decided: Decided) => this.#claims.delete(claim) && claim.decided?.(decided)
      this.#claim(claim).then(whose, () => undefined)
    }
  }

  /** Rejects as the link does. */
  async #claim({ record, letGoBy }: Claim): Promise<Decided> {
    const { life, placesKey } = this.#roster
    const other = letGoBy === undefined ? undefined : this.#roster.lifeOf(letGoBy.node)
    const args = [life, String(LEASE_SECONDS), other ?? '']
    const owner = await runScript(this.#link, CLAIM, [record, placesKey], args)
    if (owner === life) return 'mine'
    if (owner === GONE) return 'gone'
    const place = await this.#placeOf(String(owner))
    // It has died in this very moment, or isn't known to be there yet.
    return place ?? (await this.#claim({ record, letGoBy }))
  }

  async #placeOf(life: string): Promise<Place | undefined> {
    return this.#roster.placeOf(life) ?? (await this.#roster.lookUp(life))
  }

  /** Undefined if there is no record; `unasked` if that can't be said in time. */
  async #findByRecord(kind: Kind, key: string): Promise<Found | 'unasked'> {
    if (!this.#link.isPrompt) return 'unasked'
    const record = this.#recordOf(kind, key)
    const endMs = performance.now() + LOOK_MS
    let found = await withinFind(this.#search(record))
    for (const pauseMs of hasTag(kind, key) ? [] : PAUSES_MS) {
      if (found !== undefined) break
      await delay(pauseMs)
      // Without time for the last look, it can't be said.
      found = await withinFind(this.#search(record), endMs - performance.now())
    }
    if (found !== 'failed' && found !== 'late') return found
    if (found === 'late') this.#late++
    return 'unasked'
  }

  /** Undefined if there is no record. Rejects as the link does. */
  async #search(record: string): Promise<Found> {
    const life = await this.#link.ask('GET', record)
    if (typeof life !== 'string') return undefined
    if (life === GONE) return 'gone'
    if (life === LET_GO) return 'between'
    // A key that is here is never asked for: a record of ours that is left over names no node.
    if (life === this.#roster.life) return undefined
    return (await this.#placeOf(life)) ?? 'between'
  }

  /** `isAsked` is true if Redis has no record of the key. */
  #findByTag(tag: string | undefined, isAsked: boolean): Found {
    const named = tag === undefined ? undefined : this.#roster.byTag(tag)
    if (named === 'lost') return 'between'
    if (named !== undefined && named.node !== this.self) return named
    const isComplete =
      isAsked && this.#link.trouble === undefined && performance.now() >= this.#isRefilledAtMs
    return isComplete ? undefined : 'unknown'
  }

  #recordOf(kind: Kind, key: string): string {
    return `ess:${kind === 'id' ? 'socket' : 'token'}:${this.#hash(kind, key)}`
  }

  /** For a reader of Redis, these are random. 128 of the 256 bits are enough for what can't be chosen. */
  #hash(what: Kind | 'client' | 'cluster', text: string): string {
    const digest = createHmac('sha256', this.#options.secret).update(`${what} ${text}`).digest()
    return digest.subarray(0, 16).toString('base64url')
  }

  /** It is last in the order of renewals. */
  #stay(record: string, kind: Kind, key: string): void {
    this.#here.delete(record)
    this.#here.set(record, { kind, key, dueMs: performance.now() + RENEWAL_MS })
  }

  #owe(record: string, write: Write): void {
    this.#owed.owe(record, write)
    this.#owed.make()
  }

  async #write(record: string, write: Write): Promise<void> {
    const { life } = this.#roster
    switch (write.verb) {
      case 'settle':
        return await this.#writeRecord(record, write.kind)
      case 'leave': {
        if (write.untilMs <= performance.now()) return
        await runScript(this.#link, LEAVE, [record], [life, write.as, String(write.seconds)])
        return
      }
      case 'renew':
        return await this.#renew(record)
    }
  }

  /** Rejects as the link does. */
  async #renew(record: string): Promise<void> {
    const here = this.#here.get(record)
    // It has ended meanwhile, and its end is told by another write.
    if (here === undefined) return
    const { kind, key } = here
    const { life, placesKey } = this.#roster
    const lease = String(LEASE_SECONDS)
    // A token that its sender has brought from another node may not have been written yet.
    const owner =
      kind === 'id'
        ? await runScript(this.#link, KEEP, [record], [life, lease])
        : await runScript(this.#link, CLAIM, [record, placesKey], [life, lease, ''])
    // It has ended or settled on another node, unless it has ended here, or settled anew.
    if (owner === life || this.#here.get(record) !== here) return
    this.#here.delete(record)
    if (kind === 'id') this.#lost(key, owner === GONE)
  }

  async #writeRecord(record: string, kind: Kind): Promise<void> {
    const written = this.#link.ask('SET', record, this.#roster.life, 'EX', String(LEASE_SECONDS))
    // Redis tells those who wait for it, if any; none waits for a token. Sent in one go with the record.
    const told = kind === 'id' ? this.#link.ask('PUBLISH', record, '') : undefined
    await Promise.all([written, told])
  }

  #failed(record: string, write: Write, error: unknown): Write | undefined {
    this.#link.noteWrite(error)
    const isStillTrue = this.#here.has(record) === (write.verb !== 'leave')
    if (!isStillTrue) return undefined
    // It may have been done, without an answer.
    return write.verb === 'settle' ? { verb: 'renew' } : write
  }

  #onConnected(): void {
    this.#roster.follow(() => void this.#beat()).catch(() => undefined)
    this.clients.follow()
    for (const [record, awaited] of this.#awaited) this.#watchFor(record, awaited)
    // What was written last may be lost, by the connection, or by a Redis that took the place of another. What is still
    // to be written may be at another node by now.
    for (const record of this.#here.keys()) this.#owed.owe(record, { verb: 'renew' })
  }

  async #beat(): Promise<void> {
    // Whatever is wrong, the next probe finds it too.
    await this.#roster.beat().catch(() => undefined)
  }

  #onTrouble(trouble: Trouble | undefined, cause: Error | undefined): void {
    this.#makeClaims()
    this.#owed.make()
    this.clients.catchUp()
    this.#options.onTrouble?.(trouble, cause)
  }

  /** Redis has lost what it was told, or the others have missed this node: all is told again that no other one has. */
  #refill(): void {
    this.#isRefilledAtMs = performance.now() + REFILL_MS
    for (const record of this.#here.keys()) this.#owed.owe(record, { verb: 'renew' })
    this.#owed.make()
    this.clients.tellAll()
  }

  #renewDue(): void {
    this.#makeClaims()
    const nowMs = performance.now()
    for (const [record, { kind, key, dueMs }] of this.#here) {
      if (dueMs > nowMs) break
      this.#stay(record, kind, key)
      if (this.#owed.get(record) === undefined) this.#owed.owe(record, { verb: 'renew' })
    }
    this.#owed.make()
    this.clients.tellDue()
  }

  #appeared(record: string): void {
    for (const found of this.#awaited.get(record)?.waiting ?? []) found()
  }

  /** Subscribes first and looks then, so that it can't settle unseen in between. */
  #watchFor(record: string, { told }: Awaited): void {
    if (!this.#link.isConnected) return
    // With the next connection, it is watched for again.
    this.#link.subscribe(record, told).catch(() => undefined)
    this.#lookFor(record)
  }

  #lookFor(record: string): void {
    this.#search(record).then(
      (found) => typeof found === 'object' && this.#appeared(record),
      // With the next connection, it is looked for again.
      () => undefined,
    )
  }
}

function hasTag(kind: Kind, key: string): boolean {
  return kind === 'id' && tagIn(key) !== undefined
}

function endOf(found: Found, recorded: Found | 'unasked'): SearchEnd {
  if (found === undefined) return 'none'
  // Operators are told that no node has it now.
  if (found === 'between') return 'unknown'
  if (typeof found === 'string') return found
  return typeof recorded === 'object' ? 'record' : 'tag'
}
