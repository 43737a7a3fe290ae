import { randomBytes } from 'node:crypto'
import { type Place, TOMBSTONE_SECONDS } from './locator.js'
import type { RedisLink } from './redis-link.js'
import { runScript, scriptOf } from './redis-script.js'
import { tagOf } from './tagged-ids.js'

/** A node that was not heard of for so long is dead: three heartbeats. */
const NODE_LIFE_MS = 15_000

/** Where the nodes of one cluster are listed. Several clusters may have the same Redis. */
interface RosterKeys {
  /** When each life of a node ends unless it is heard of, by the clock of Redis: a sorted set. */
  readonly nodes: string
  /** Name, address and beginning of each life: a hash. */
  readonly places: string
  /** Changes with the list. Its name is also the channel on which nodes are told to read the list again. */
  readonly version: string
  /** What a full Redis refuses. The heartbeat itself gets through, so that the nodes don't lose sight of each other. */
  readonly probe: string
}

/*
 * All times are those of Redis, so it doesn't matter what the nodes' clocks say. When no node at all was heard of, it was
 * Redis that was away: then each one gets the time to be heard again.
 */
const BEAT = scriptOf(`#!lua flags=allow-oom
local life, place, lifeMs, known = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if newest[2] and tonumber(newest[2]) < now then
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now - ${1000 * TOMBSTONE_SECONDS}, '+inf')) do
    redis.call('ZADD', KEYS[1], now + lifeMs, other)
  end
end
local isChanged = false
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now))) do
  redis.call('ZREM', KEYS[1], dead)
  redis.call('HDEL', KEYS[2], dead)
  isChanged = true
end
local isNew = redis.call('ZADD', KEYS[1], now + lifeMs, life)
if isNew == 1 then
  redis.call('HSET', KEYS[2], life, place .. ' ' .. string.format('%.0f', now))
  isChanged = true
end
if isChanged then
  redis.call('SET', KEYS[3], time[1] .. '.' .. time[2])
  redis.call('PUBLISH', KEYS[3], '')
end
local version = redis.call('GET', KEYS[3])
if version == known then return {version, isNew} end
return {version, isNew, redis.call('HGETALL', KEYS[2])}`)

const LEAVE = scriptOf(`#!lua flags=allow-oom
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return end
redis.call('HDEL', KEYS[2], ARGV[1])
local time = redis.call('TIME')
redis.call('SET', KEYS[3], time[1] .. '.' .. time[2])
redis.call('PUBLISH', KEYS[3], '')`)

/** One life of a node, from a start of its process to the end. */
interface Life {
  readonly place: Place
  readonly sinceMs: number
}

/** The nodes of a cluster, as they were last known. Records name the life of a node, because a restart loses its keys. */
export class Roster {
  /** In records, this stands for this node. */
  readonly life = randomBytes(6).toString('base64url')
  readonly #self: Place
  readonly #keys: RosterKeys
  readonly #link: RedisLink
  readonly #onForgotten: () => void
  readonly #onListed: (nodes: readonly Place[]) => void
  #version = ''
  #isListed = false
  #lives: ReadonlyMap<string, Life> = new Map()
  #byTag: ReadonlyMap<string, readonly Life[]> = new Map()
  /** The tags of nodes that are no longer listed, and until when that is remembered. */
  readonly #lost = new Map<string, number>()

  /**
   * `cluster` tells clusters apart. `onForgotten` is called when Redis has forgotten this node, and so perhaps all that it
   * was told; `onListed` with the nodes, each time that they were read.
   */
  constructor(
    self: Place,
    cluster: string,
    link: RedisLink,
    onForgotten: () => void,
    onListed: (nodes: readonly Place[]) => void = () => undefined,
  ) {
    const nodes = `ess:nodes:${cluster}`
    this.#keys = { nodes, places: `${nodes}:places`, version: `${nodes}:version`, probe: `${nodes}:probe` }
    this.#self = self
    this.#link = link
    this.#onForgotten = onForgotten
    this.#onListed = onListed
    this.#take(new Map([[this.life, { place: self, sinceMs: 0 }]]))
  }

  /** The key that has every node which lives. */
  get key(): string {
    return this.#keys.nodes
  }

  /** The key of the hash that has every life. */
  get placesKey(): string {
    return this.#keys.places
  }

  get places(): readonly Place[] {
    return [...this.#lives.values()].map(({ place }) => place)
  }

  /** The place of a life that goes on, as far as it was heard of. */
  placeOf(life: string): Place | undefined {
    return this.#lives.get(life)?.place
  }

  /** The newest life of the node with this name. */
  lifeOf(node: string): string | undefined {
    const lives = [...this.#lives].filter(([, { place }]) => place.node === node)
    return lives.sort(([, one], [, other]) => other.sinceMs - one.sinceMs)[0]?.[0]
  }

  /** Asks Redis for a life that the list doesn't have yet. Rejects as the link does. */
  async lookUp(life: string): Promise<Place | undefined> {
    const text = await this.#link.ask('HGET', this.#keys.places, life)
    return typeof text === 'string' ? parseLife(text).place : undefined
  }

  /** The node that has this tag, if only one has; `lost` if one had it a short time ago. */
  byTag(tag: string): Place | 'lost' | undefined {
    const [newest, ...others] = this.#byTag.get(tag) ?? []
    if (newest !== undefined) {
      // A node that was killed and started again has two lives for a while.
      const isOne = others.every(({ place }) => place.node === newest.place.node)
      return isOne ? newest.place : undefined
    }
    return (this.#lost.get(tag) ?? 0) > performance.now() ? 'lost' : undefined
  }

  /**
   * Says that this node lives, and reads the list if it has changed. Rejects as the link does, and with a refusal if
   * Redis is full.
   */
  async beat(): Promise<void> {
    const { node, address } = this.#self
    const args = [this.life, `${node} ${address}`, String(NODE_LIFE_MS), this.#version]
    const { nodes, places, version: news, probe } = this.#keys
    const probed = this.#link.ask('SET', probe, '', 'EX', '60')
    // It is awaited below, unless the heartbeat fails.
    probed.catch(() => undefined)
    const reply = await runScript(this.#link, BEAT, [nodes, places, news], args)
    // The script gives this.
    const [version, isNew, list] = reply as readonly [string, number, readonly string[] | undefined]
    this.#version = version
    if (list !== undefined) this.#read(list)
    const wasForgotten = this.#isListed && isNew === 1
    this.#isListed = true
    if (wasForgotten) this.#onForgotten()
    await probed
  }

  /** Calls `changed` when the list has changed, as long as this connection lasts. Rejects as the link does. */
  follow(changed: () => void): Promise<void> {
    return this.#link.subscribe(this.#keys.version, changed)
  }

  /** Rejects as the link does. */
  async leave(): Promise<void> {
    const { nodes, places, version } = this.#keys
    await runScript(this.#link, LEAVE, [nodes, places, version], [this.life])
  }

  #read(list: readonly string[]): void {
    const lives = new Map<string, Life>()
    for (let at = 0; at + 1 < list.length; at += 2) lives.set(list[at] ?? '', parseLife(list[at + 1] ?? ''))
    const nowMs = performance.now()
    for (const [tag, untilMs] of this.#lost) if (untilMs <= nowMs) this.#lost.delete(tag)
    for (const [life, { place }] of this.#lives)
      if (!lives.has(life)) this.#lost.set(tagOf(place.node), nowMs + 1000 * TOMBSTONE_SECONDS)
    this.#take(lives)
    this.#onListed(this.places)
  }

  #take(lives: ReadonlyMap<string, Life>): void {
    const byTag = new Map<string, Life[]>()
    for (const life of [...lives.values()].sort((one, other) => other.sinceMs - one.sinceMs)) {
      const tag = tagOf(life.place.node)
      byTag.set(tag, [...(byTag.get(tag) ?? []), life])
    }
    this.#lives = lives
    this.#byTag = byTag
  }
}

function parseLife(text: string): Life {
  const [node = '', address = '', since = '0'] = text.split(' ')
  return { place: { node, address }, sinceMs: Number(since) }
}
