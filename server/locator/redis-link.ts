import { FIND_MS, type Trouble } from './locator.js'
import {
  connectRedis,
  isFull,
  isRefusal,
  type RedisAddress,
  type RedisConnection,
  type Reply,
} from './redis-connection.js'

/** An answer that takes longer comes too late for a request. */
const SLOW_MS = FIND_MS

/** The pulse: how often Redis is asked for a sign of life while all is well, and while something is wrong. */
const PROBE_MS = { well: 5_000, troubled: 1_000 }

/** A connection that was silent for so long is dead, even if the kernel still believes in it. */
const DEAD_MS = 6_000

/** The wait before the next attempt to connect. It doubles with each failure. */
const RETRY_MS = { first: 50, most: 2_000 }

/** What a link tells its owner, and needs from it. */
export interface RedisLinkEvents {
  /** There is a new connection. What was sent on the old one may be lost, and no subscription is left. */
  readonly onConnected: () => void
  /** `cause` is an error of Redis, of the network or of ours, in its own words. */
  readonly onTrouble: (trouble: Trouble | undefined, cause: Error | undefined) => void
  /** The pulse. Writes something that Redis takes only while all is well. Rejects as `ask` does. */
  readonly probe: () => Promise<unknown>
}

/** The way to Redis: one connection at a time, and a new one whenever it is lost. Knows how Redis is. */
export class RedisLink {
  readonly #address: RedisAddress
  readonly #events: RedisLinkEvents
  #connection: RedisConnection | undefined
  #isClosed = false
  /** False until a probe went well on this connection. */
  #isProven = false
  #isSlow = false
  #refusal: 'full' | 'refuses' | undefined
  /** Why it is not well, as far as that is an error. */
  #cause: Error | undefined
  /** What the owner was told last; nothing yet, so that it learns of a Redis that is away from the start. */
  #told: Trouble | 'nothing' | undefined = 'nothing'
  /** The commands without an answer, in their order, which is that of the answers too. */
  readonly #unanswered = new Set<{ readonly sentMs: number }>()
  #lastAnswerMs = 0
  #retryMs = RETRY_MS.first
  #retry: NodeJS.Timeout | undefined
  #probing: NodeJS.Timeout | undefined
  #watch: NodeJS.Timeout | undefined
  #sent = 0

  constructor(address: RedisAddress, events: RedisLinkEvents) {
    this.#address = address
    this.#events = events
    void this.#connect()
  }

  /** Undefined while all is well. */
  get trouble(): Trouble | undefined {
    if (this.#connection === undefined) return this.#refusal === 'refuses' ? 'refuses' : 'away'
    if (this.#isSlow) return 'slow'
    return this.#refusal ?? (this.#isProven ? undefined : 'away')
  }

  /** Why, in words that no program reads. */
  get cause(): Error | undefined {
    return this.#cause
  }

  get isConnected(): boolean {
    return this.#connection !== undefined
  }

  /** False while no request should wait for an answer. */
  get isPrompt(): boolean {
    return this.#connection !== undefined && !this.#isSlow
  }

  /** False while writes would be lost or refused. */
  get takesWrites(): boolean {
    return this.#connection !== undefined && this.#isProven && this.#refusal === undefined
  }

  /** How many commands were sent. */
  get sent(): number {
    return this.#sent
  }

  /**
   * Sends a command. Rejects at once when there is no connection, with the refusal of Redis, or when the connection is
   * lost. It has no other deadline.
   */
  async ask(...args: readonly string[]): Promise<Reply> {
    const connection = this.#connection
    if (connection === undefined) throw new Error('Redis is away.', { cause: this.#cause })
    const command = { sentMs: performance.now() }
    this.#sent++
    this.#unanswered.add(command)
    this.#watchOver()
    try {
      const reply = await connection.send(...args)
      this.#answered(connection, command.sentMs)
      return reply
    } catch (error) {
      if (isRefusal(error)) this.#answered(connection, command.sentMs)
      throw error
    } finally {
      this.#unanswered.delete(command)
    }
  }

  /** Rejects as `ask` does. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    if (this.#connection === undefined) throw new Error('Redis is away.', { cause: this.#cause })
    this.#sent++
    await this.#connection.subscribe(channel, listener)
  }

  /** Without a connection there is nothing to do. */
  async unsubscribe(channel: string, listener: (message: string) => void): Promise<void> {
    if (this.#connection === undefined) return
    this.#sent++
    await this.#connection.unsubscribe(channel, listener)
  }

  /** Learns from a write how Redis is: `error` is what it was refused with. A lost connection is known anyway. */
  noteWrite(error: unknown): void {
    if (error !== undefined && !isRefusal(error)) return
    this.#refusal = error === undefined ? undefined : isFull(error) ? 'full' : 'refuses'
    if (error !== undefined) this.#cause = error
    this.#tell()
  }

  close(): void {
    this.#isClosed = true
    for (const timer of [this.#retry, this.#probing, this.#watch]) clearTimeout(timer)
    this.#connection?.destroy()
    this.#connection = undefined
  }

  async #connect(): Promise<void> {
    try {
      const connection = await connectRedis(this.#address)
      if (this.#isClosed) return connection.destroy()
      this.#connection = connection
      this.#isProven = false
      this.#isSlow = false
      this.#refusal = undefined
      void connection.ended.then((error) => this.#lost(connection, error))
      this.#events.onConnected()
      this.#probe()
    } catch (error) {
      this.#connectLater(error)
    }
  }

  #connectLater(error: unknown): void {
    if (this.#isClosed) return
    this.#cause = error instanceof Error ? error : new Error(String(error))
    this.#refusal = isRefusal(error) ? 'refuses' : undefined
    this.#tell()
    this.#retry = setTimeout(() => void this.#connect(), this.#retryMs)
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.most)
  }

  #lost(connection: RedisConnection, error: Error): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    connection.destroy()
    this.#connectLater(error)
  }

  #answered(connection: RedisConnection, sentMs: number): void {
    if (connection !== this.#connection) return
    this.#lastAnswerMs = performance.now()
    this.#setSlow(this.#lastAnswerMs - sentMs >= SLOW_MS)
  }

  #setSlow(isSlow: boolean): void {
    if (isSlow === this.#isSlow) return
    this.#isSlow = isSlow
    if (isSlow) this.#cause = new Error(`Redis took longer than ${SLOW_MS} ms.`)
    this.#tell()
  }

  /** Notices when Redis is silent. One timer for all commands, and none while nothing is asked. */
  #watchOver(): void {
    if (this.#watch !== undefined) return
    const look = () => {
      this.#watch = undefined
      const [oldest] = this.#unanswered
      const connection = this.#connection
      // Without a connection, the last commands are about to be rejected.
      if (connection === undefined || oldest === undefined) return
      const nowMs = performance.now()
      if (nowMs - Math.max(oldest.sentMs, this.#lastAnswerMs) >= DEAD_MS)
        return this.#lost(connection, new Error(`Redis was silent for ${DEAD_MS / 1000} s.`))
      if (nowMs - oldest.sentMs >= SLOW_MS) this.#setSlow(true)
      this.#watchOver()
    }
    // While this process was busy, the answer may have come: what can be read is read before.
    this.#watch = setTimeout(() => setImmediate(look), SLOW_MS)
  }

  #probe(): void {
    clearTimeout(this.#probing)
    const connection = this.#connection
    if (this.#isClosed || connection === undefined) return
    const note = (error: unknown) => {
      if (connection !== this.#connection) return
      if (error === undefined) {
        this.#isProven = true
        this.#retryMs = RETRY_MS.first
      }
      this.noteWrite(error)
    }
    this.#events.probe().then(() => note(undefined), note)
    this.#probeLater()
  }

  #probeLater(): void {
    clearTimeout(this.#probing)
    const ms = this.trouble === undefined ? PROBE_MS.well : PROBE_MS.troubled
    this.#probing = setTimeout(() => this.#probe(), ms)
  }

  #tell(): void {
    const { trouble } = this
    if (trouble === undefined) this.#cause = undefined
    if (trouble === this.#told || this.#isClosed) return
    this.#told = trouble
    this.#probeLater()
    this.#events.onTrouble(trouble, this.#cause)
  }
}
