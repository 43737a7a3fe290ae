import type { Clients, ClientsListener } from './clients.js'
import { OwedWrites } from './owed-writes.js'
import type { RedisLink } from './redis-link.js'
import { runScript, scriptOf } from './redis-script.js'
import type { Roster } from './roster.js'
import type { SealedNames } from './sealed-names.js'

/** How long the counts of a client live unless they are told again. */
const LEASE_SECONDS = 600
const RENEWAL_MS = 300_000

/*
 * A hash has the counts of each node that has some. Those of a node that is dead don't count. Redis tells the nodes in
 * the same step that they add up to a limit, or no longer: so all hear it in one order, and no answer that comes late or
 * never can keep it from them. It also does when the node that asks takes something else for true.
 */
const HOLD = scriptOf(`local life, held, lease, most, believed, channel, client, isSure = unpack(ARGV)
local function add(sums, counts)
  local kind = 0
  for count in string.gmatch(counts or '', '%d+') do
    kind = kind + 1
    sums[kind] = (sums[kind] or 0) + count
  end
end
local before, after = {}, {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  if all[at] == life then
    add(before, all[at + 1])
  elseif redis.call('ZSCORE', KEYS[2], all[at]) then
    add(before, all[at + 1])
    add(after, all[at + 1])
  end
end
add(after, held)
if held == '' then
  redis.call('HDEL', KEYS[1], life)
else
  redis.call('HSET', KEYS[1], life, held)
  redis.call('EXPIRE', KEYS[1], lease)
end
local kind = 0
for limit in string.gmatch(most, '%d+') do
  kind = kind + 1
  limit = tonumber(limit)
  if limit > 0 then
    local wasFull, isFull = (before[kind] or 0) >= limit, (after[kind] or 0) >= limit
    local isBelieved = string.sub(believed, kind, kind) == '1'
    if isFull ~= wasFull or isFull ~= isBelieved or (isFull and isSure == '0') then
      redis.call('PUBLISH', channel, client .. (isFull and ' full ' or ' free ') .. kind - 1)
    end
  end
end`)

const MISS = scriptOf(`local seconds, most, channel, client = unpack(ARGV)
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], seconds) end
if count >= tonumber(most) then redis.call('PUBLISH', channel, client .. ' out ' .. redis.call('PTTL', KEYS[1])) end`)

/** What is told of a client: a change, or all again, because this node and the others may know different things. */
type Telling = 'change' | 'all'

/** What a cluster over Redis knows of its clients. In Redis they are hashed, like ids. */
export class RedisClients implements Clients {
  readonly #link: RedisLink
  readonly #roster: Roster
  readonly #hash: (client: string) => string
  readonly #names: SealedNames
  #listener: ClientsListener | undefined
  /** What clients hold here, and when that must be told again; the first one first. */
  readonly #held = new Map<string, { readonly held: readonly number[]; readonly dueMs: number }>()
  readonly #owed: OwedWrites<Telling>

  constructor(link: RedisLink, roster: Roster, hash: (client: string) => string, names: SealedNames) {
    this.#names = names
    this.#link = link
    this.#roster = roster
    this.#hash = hash
    this.#owed = new OwedWrites({
      isReady: () => link.takesWrites,
      write: (client, telling) => this.#tell(client, telling),
      failed: (client, telling, error) => {
        link.noteWrite(error)
        this.#owe(client, telling)
        return undefined
      },
    })
  }

  hold(client: string, held: readonly number[]): boolean {
    this.#held.delete(client)
    if (held.some((count) => count > 0))
      this.#held.set(client, { held, dueMs: performance.now() + RENEWAL_MS })
    this.#owe(client, 'change')
    this.#owed.make()
    return this.#link.takesWrites
  }

  missed(client: string): void {
    const listener = this.#listener
    if (listener === undefined || !this.#link.takesWrites || !this.#link.isPrompt) return
    const args = [listener.windowSeconds, listener.mostMisses, this.#channel, this.#names.seal(client)]
    // The next one is counted again.
    runScript(this.#link, MISS, [`ess:misses:${this.#hash(client)}`], args.map(String)).catch(() => undefined)
  }

  listen(listener: ClientsListener): void {
    this.#listener = listener
    this.follow()
  }

  /** Listens on this connection; call it again after the next one was made. */
  follow(): void {
    if (this.#listener !== undefined && this.#link.isConnected) void this.#follow()
  }

  async #follow(): Promise<void> {
    // The next connection will do it. A user of Redis who may not listen still tells what is held here.
    await this.#link.subscribe(this.#channel, (message) => this.#hear(message)).catch(() => undefined)
    // What was said before Redis had this node among the listeners, it can't have heard.
    this.tellAll()
  }

  /** On it, Redis tells the nodes of a cluster of their clients. */
  get #channel(): string {
    return `${this.#roster.key}:clients`
  }

  #hear(message: string): void {
    const [sealed = '', verb, text] = message.split(' ')
    const [client, number] = [this.#names.open(sealed), Number(text)]
    const listener = this.#listener
    if (client === undefined || listener === undefined || !Number.isSafeInteger(number)) return
    if (verb === 'full' || verb === 'free') listener.setFull(number, client, verb === 'full')
    // A program that can write to Redis can repeat a client's name. That shuts it out for no longer than a miss would.
    if (verb === 'out' && number > 0)
      listener.shutOut(client, Math.min(number, 1000 * listener.windowSeconds))
  }

  /** Tells Redis what is owed, as far as it takes that now. */
  catchUp(): void {
    this.#owed.make()
  }

  /** Redis may have lost all that it was told, or this node what it should have heard. */
  tellAll(): void {
    for (const client of [...this.#held.keys(), ...(this.#listener?.full() ?? [])]) this.#owe(client, 'all')
    this.#owed.make()
  }

  /** Tells again what would be forgotten. */
  tellDue(): void {
    const nowMs = performance.now()
    for (const [client, { held, dueMs }] of this.#held) {
      if (dueMs > nowMs) break
      this.#held.delete(client)
      this.#held.set(client, { held, dueMs: nowMs + RENEWAL_MS })
      this.#owe(client, 'change')
    }
    this.#owed.make()
  }

  #owe(client: string, telling: Telling): void {
    this.#owed.owe(client, this.#owed.get(client) === 'all' ? 'all' : telling)
  }

  /** Rejects as the link does. */
  async #tell(client: string, telling: Telling): Promise<void> {
    const listener = this.#listener
    if (listener === undefined) return
    const { most } = listener
    const args = [
      this.#roster.life,
      this.#held.get(client)?.held.join(' ') ?? '',
      String(LEASE_SECONDS),
      most.join(' '),
      most.map((_most, kind) => (listener.isFull(kind, client) ? '1' : '0')).join(''),
      this.#channel,
      this.#names.seal(client),
      telling === 'all' ? '0' : '1',
    ]
    await runScript(this.#link, HOLD, [`ess:client:${this.#hash(client)}`, this.#roster.key], args)
  }
}
