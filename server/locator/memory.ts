import type { Clients, ClientsListener } from './clients.js'
import type { Claimed, Found, Kind, Locator, LocatorState, Lost, Moves, Place } from './locator.js'
import { LET_GO_SECONDS, TOMBSTONE_SECONDS } from './locator.js'

/** How many ends are remembered, at about 150 bytes each. The oldest is forgotten first. */
const MAX_TOMBSTONES = 100_000

/** How many clients' misses are counted. The one whose window began first is forgotten first. */
const MAX_MISSING_CLIENTS = 10_000

/** A key that has no node any more: it has ended, or its node has left or let it go. */
interface Tombstone {
  readonly found: 'gone' | 'between'
  readonly untilMs: number
}

/** What all locators of one process know together: for several services in it, or for the parent of workers. */
export class MemoryStore {
  readonly #members = new Set<Member>()
  readonly #owners: Record<Kind, Map<string, Member>> = { id: new Map(), token: new Map() }
  /** A Map keeps the order of insertion, and in this order they are forgotten. */
  readonly #tombstones: Record<Kind, Map<string, Tombstone>> = { id: new Map(), token: new Map() }
  readonly #awaited = new Map<string, Set<() => void>>()
  /** What each client holds at each node. */
  readonly #held = new Map<string, Map<Member, readonly number[]>>()
  readonly #misses = new Map<string, { count: number; readonly untilMs: number }>()
  readonly #mayComeBack: boolean

  /** `mayComeBack` is false where no sender of a node that died comes back at another one: then its links are over. */
  constructor({ mayComeBack = true }: { readonly mayComeBack?: boolean } = {}) {
    this.#mayComeBack = mayComeBack
  }

  /** Adds a node. */
  join(place: Place): Locator {
    const member = new Member(place, this)
    this.#members.add(member)
    return member
  }

  get nodes(): readonly Place[] {
    return [...this.#members].map(({ place }) => place)
  }

  /** How much is held in memory. */
  get counts(): { readonly settled: number; readonly tombstones: number; readonly awaited: number } {
    const { id, token } = this.#owners
    const tombstones = this.#tombstones.id.size + this.#tombstones.token.size
    return { settled: id.size + token.size, tombstones, awaited: this.#awaited.size }
  }

  settle(kind: Kind, key: string, member: Member): void {
    if (!this.#members.has(member)) return
    this.#own(kind, key, member)
    if (kind === 'id') for (const found of this.#awaited.get(key) ?? []) found()
  }

  leave(kind: Kind, key: string, member: Member): void {
    // It may have settled on another node meanwhile: there it stays.
    if (this.#owners[kind].get(key) !== member) return
    this.#owners[kind].delete(key)
    if (kind === 'id') this.#remember(kind, key, 'gone')
  }

  letGo(kind: Kind, key: string, member: Member): void {
    if (this.#owners[kind].get(key) !== member) return
    this.#owners[kind].delete(key)
    this.#remember(kind, key, 'between', LET_GO_SECONDS)
  }

  claim(id: string, member: Member, letGoBy: Place | undefined): Claimed {
    const found = this.find('id', id)
    if (found === 'gone') return found
    const isFree = typeof found !== 'object' || found === member.place || found.node === letGoBy?.node
    if (!isFree) return found
    this.#own('id', id, member)
    return 'mine'
  }

  find(kind: Kind, key: string): Found {
    const owner = this.#owners[kind].get(key)
    if (owner !== undefined) return owner.place
    const tombstone = this.#tombstones[kind].get(key)
    return tombstone === undefined || tombstone.untilMs <= performance.now() ? undefined : tombstone.found
  }

  hold(client: string, held: readonly number[], member: Member): void {
    const byMember = this.#held.get(client) ?? new Map<Member, readonly number[]>()
    const before = sumsOf(byMember)
    byMember.delete(member)
    if (held.some((count) => count > 0)) byMember.set(member, held)
    if (byMember.size > 0) this.#held.set(client, byMember)
    else this.#held.delete(client)
    const after = sumsOf(byMember)
    for (const [kind, most] of (member.listener?.most ?? []).entries()) {
      if (most === 0) continue
      const [wasFull, isFull] = [(before[kind] ?? 0) >= most, (after[kind] ?? 0) >= most]
      if (isFull !== wasFull || isFull !== member.listener?.isFull(kind, client))
        for (const { listener } of this.#members) listener?.setFull(kind, client, isFull)
    }
  }

  missed(client: string, member: Member): void {
    const { listener } = member
    if (listener === undefined) return
    const nowMs = performance.now()
    // All windows are of one length, so the oldest come first.
    for (const [old, { untilMs }] of this.#misses) {
      if (untilMs > nowMs && this.#misses.size < MAX_MISSING_CLIENTS) break
      this.#misses.delete(old)
    }
    const untilMs = nowMs + 1000 * listener.windowSeconds
    const misses = this.#misses.get(client) ?? { count: 0, untilMs }
    misses.count++
    this.#misses.set(client, misses)
    if (misses.count < listener.mostMisses) return
    for (const one of this.#members) one.listener?.shutOut(client, misses.untilMs - nowMs)
  }

  onSettled(id: string, found: () => void): () => void {
    const others = this.#awaited.get(id) ?? new Set()
    const stop = () => {
      others.delete(once)
      if (others.size === 0 && this.#awaited.get(id) === others) this.#awaited.delete(id)
    }
    const once = () => {
      if (!others.has(once)) return
      stop()
      found()
    }
    this.#awaited.set(id, others.add(once))
    // Not before the caller has the function that stops it.
    if (this.#owners.id.has(id)) queueMicrotask(once)
    return stop
  }

  /** The keys of a node that left are lost with it, but their senders may come back at another one, if any can. */
  drop(member: Member): void {
    if (!this.#members.delete(member)) return
    for (const [client, byMember] of this.#held) {
      byMember.delete(member)
      if (byMember.size === 0) this.#held.delete(client)
    }
    for (const kind of ['id', 'token'] as const) {
      for (const [key, owner] of this.#owners[kind]) {
        if (owner !== member) continue
        this.#owners[kind].delete(key)
        if (this.#mayComeBack) this.#remember(kind, key, 'between')
        else if (kind === 'id') this.#remember(kind, key, 'gone')
      }
    }
  }

  #own(kind: Kind, key: string, member: Member): void {
    const before = this.#owners[kind].get(key)
    this.#tombstones[kind].delete(key)
    this.#owners[kind].set(key, member)
    if (kind === 'id' && before !== undefined && before !== member) before.lost(key, false)
  }

  #remember(kind: Kind, key: string, found: Tombstone['found'], seconds = TOMBSTONE_SECONDS): void {
    const nowMs = performance.now()
    const tombstones = this.#tombstones[kind]
    // The oldest come first. All live equally long, but for a node that stops: those go with the ones before them.
    for (const [old, { untilMs }] of tombstones) {
      if (untilMs > nowMs && tombstones.size < MAX_TOMBSTONES) break
      tombstones.delete(old)
    }
    tombstones.delete(key)
    tombstones.set(key, { found, untilMs: nowMs + 1000 * seconds })
  }
}

/** One node of a store. */
class Member implements Locator {
  readonly place: Place
  readonly #store: MemoryStore
  /** What stops each wait of this node. */
  readonly #waits = new Set<() => void>()
  readonly clients: Clients = {
    hold: (client, held) => {
      this.#store.hold(client, held, this)
      return true
    },
    missed: (client) => this.#store.missed(client, this),
    listen: (listener) => {
      this.listener = listener
    },
  }
  readonly moves: Moves = {
    letGo: (kind, key) => this.#store.letGo(kind, key, this),
    claim: async (id, letGoBy) => this.#store.claim(id, this, letGoBy),
    onLost: (lost) => {
      this.lost = lost
    },
  }
  lost: Lost = () => undefined
  listener: ClientsListener | undefined

  constructor(place: Place, store: MemoryStore) {
    this.place = place
    this.#store = store
  }

  get self(): string {
    return this.place.node
  }

  async whenKnown(): Promise<void> {
    // All members have one store.
  }

  get state(): LocatorState {
    return { isWell: true, trouble: undefined, nodes: this.#store.nodes }
  }

  settle(kind: Kind, key: string): void {
    this.#store.settle(kind, key, this)
  }

  leave(kind: Kind, key: string): void {
    this.#store.leave(kind, key, this)
  }

  async find(kind: Kind, key: string): Promise<Found> {
    return this.#store.find(kind, key)
  }

  onSettled(id: string, found: () => void): () => void {
    const stop = () => {
      this.#waits.delete(stop)
      stopWaiting()
    }
    const stopWaiting = this.#store.onSettled(id, () => {
      this.#waits.delete(stop)
      found()
    })
    this.#waits.add(stop)
    return stop
  }

  async close(): Promise<void> {
    for (const stop of this.#waits) stop()
    this.#store.drop(this)
  }
}

/** How many of each kind all nodes hold together. */
function sumsOf(byMember: ReadonlyMap<Member, readonly number[]>): readonly number[] {
  const sums: number[] = []
  for (const counts of byMember.values())
    for (const [kind, count] of counts.entries()) sums[kind] = (sums[kind] ?? 0) + count
  return sums
}
