import type { Clients, Misses } from './clients.js'
import { OwedWrites } from './owed-writes.js'
import type { RedisLink } from './redis-link.js'
import { runScript, scriptOf } from './redis-script.js'
import type { Roster } from './roster.js'
import type { SealedNews } from './sealed-news.js'
import { withinFind } from './within-find.js'

/** How long the counts of a client live unless they are told again. */
const LEASE_SECONDS = 600
const RENEWAL_MS = 300_000

/*
 * A hash has the counts of each node that has some. Those of a node that is dead don't count. Redis runs one script at a
 * time: of two nodes that ask at the same time, the second one sees what the first one has said.
 */
const HOLD = scriptOf(`local life, held = ARGV[1], ARGV[2]
if held == '' then
  redis.call('HDEL', KEYS[1], life)
else
  redis.call('HSET', KEYS[1], life, held)
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
local all = redis.call('HGETALL', KEYS[1])
local others = {}
for at = 1, #all, 2 do
  if all[at] ~= life and redis.call('ZSCORE', KEYS[2], all[at]) then table.insert(others, all[at + 1]) end
end
return others`)

const MISS = scriptOf(`local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}`)

/** What a cluster over Redis knows of its clients. In Redis they are hashed, like ids. */
export class RedisClients implements Clients {
  readonly #link: RedisLink
  readonly #roster: Roster
  readonly #hash: (client: string) => string
  readonly #news: SealedNews
  #hear: ((news: string) => void) | undefined
  /** What clients hold here, and when that must be told again; the first one first. */
  readonly #held = new Map<string, { readonly held: readonly number[]; readonly dueMs: number }>()
  readonly #owed: OwedWrites<'hold'>

  constructor(link: RedisLink, roster: Roster, hash: (client: string) => string, news: SealedNews) {
    this.#news = news
    this.#link = link
    this.#roster = roster
    this.#hash = hash
    this.#owed = new OwedWrites({
      isReady: () => link.takesWrites,
      write: async (record) => void (await this.#tell(record)),
      failed: (_record, write, error) => {
        link.noteWrite(error)
        return write
      },
    })
  }

  async hold(client: string, held: readonly number[]): Promise<readonly number[] | undefined> {
    const record = `ess:client:${this.#hash(client)}`
    this.#held.delete(record)
    if (held.some((count) => count > 0))
      this.#held.set(record, { held, dueMs: performance.now() + RENEWAL_MS })
    if (!this.#link.takesWrites) {
      this.#owed.owe(record, 'hold')
      return undefined
    }
    const told = this.#tell(record)
    told.catch((error: unknown) => {
      this.#link.noteWrite(error)
      this.#owed.owe(record, 'hold')
    })
    if (!this.#link.isPrompt) return undefined
    const others = await withinFind(told)
    return typeof others === 'string' ? undefined : held.map((_count, kind) => sumOf(others, kind))
  }

  async miss(client: string, windowSeconds: number): Promise<Misses | undefined> {
    if (!this.#link.takesWrites || !this.#link.isPrompt) return undefined
    const key = `ess:misses:${this.#hash(client)}`
    const reply = await withinFind(runScript(this.#link, MISS, [key], [String(windowSeconds)]))
    if (typeof reply === 'string') return undefined
    // The script gives this.
    const [count, leftMs] = reply as readonly [number, number]
    return { count, leftMs }
  }

  announce(news: string): void {
    // News that are late are no news.
    if (!this.#link.takesWrites) return
    this.#link
      .ask('PUBLISH', this.#channel, `${this.#roster.life} ${this.#news.seal(news)}`)
      .catch(() => undefined)
  }

  onAnnounced(hear: (news: string) => void): void {
    this.#hear = hear
    this.follow()
  }

  /** Listens on this connection; call it again after the next one was made. */
  follow(): void {
    if (this.#hear === undefined || !this.#link.isConnected) return
    this.#link.subscribe(this.#channel, (message) => this.#onNews(message)).catch(() => undefined)
  }

  /** On it, the nodes of a cluster tell each other of clients. */
  get #channel(): string {
    return `${this.#roster.key}:clients`
  }

  #onNews(message: string): void {
    const [life, sealed = ''] = message.split(' ')
    if (life === this.#roster.life) return
    const news = this.#news.open(sealed)
    if (news !== undefined) this.#hear?.(news)
  }

  /** Tells Redis what is owed, as far as it takes that now. */
  catchUp(): void {
    this.#owed.make()
  }

  /** Redis may have lost all that it was told. */
  tellAll(): void {
    for (const record of this.#held.keys()) this.#owed.owe(record, 'hold')
    this.#owed.make()
  }

  /** Tells again what would be forgotten. */
  tellDue(): void {
    const nowMs = performance.now()
    for (const [record, { held, dueMs }] of this.#held) {
      if (dueMs > nowMs) break
      this.#held.delete(record)
      this.#held.set(record, { held, dueMs: nowMs + RENEWAL_MS })
      this.#owed.owe(record, 'hold')
    }
    this.#owed.make()
  }

  /** What the others hold, each in one text. */
  async #tell(record: string): Promise<readonly string[]> {
    const held = this.#held.get(record)?.held.join(' ') ?? ''
    const args = [this.#roster.life, held, String(LEASE_SECONDS)]
    // The script gives a list of texts.
    return (await runScript(this.#link, HOLD, [record, this.#roster.key], args)) as readonly string[]
  }
}

function sumOf(others: readonly string[], kind: number): number {
  return others.reduce((sum, counts) => sum + Number(counts.split(' ')[kind] ?? 0), 0)
}
