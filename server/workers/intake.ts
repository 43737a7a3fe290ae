import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { EssError } from '../../shared/index.js'
import { takeConnection } from '../limits/connection-limit.js'
import { Shares } from '../limits/shares.js'
import { KEEP_ALIVE_PROBE_MS } from '../listen/speak.js'
import { setOptionsOnce } from '../node/listening-options.js'
import { leaveUnread } from '../node/received-connection.js'
import type { Trust } from '../request/public-url.js'
import type { PassedNote } from './messages.js'
import type { WorkerProcess } from './worker-process.js'

/**
 * How long a worker may take to take a connection. It takes below a millisecond, unless the worker is out of descriptors,
 * of which Node says nothing; or no worker is there.
 */
const TAKE_MS = 30_000

/** How often the intake looks for connections that no worker took. */
const LOOK_MS = 10_000

/** A connection of the machine, wherever it is. */
interface Connection {
  readonly number: number
  readonly bytes: string | undefined
  readonly refusal: string | undefined
  readonly giveBack: (() => void) | undefined
  /** When it came to this process, by `performance.now`. */
  readonly sinceMs: number
  /** This process's copy, until a worker has it. Nothing is ever read from it. */
  copy: Socket | undefined
  /** The worker that has it, or that it is on its way to. */
  worker: WorkerProcess | undefined
}

/** Which connections count for their client's limit, and how many it may have; 0 for no limit. */
export interface IntakeLimits {
  readonly maxConnectionsPerClient: number
  readonly trust: Trust
}

/**
 * Accepts all connections of the port, and gives each to the worker that has the fewest. The kernel's ways, and the
 * round robin of node:cluster, would spread them less evenly: by chance, by who is idle at that moment, or all senders to
 * one worker and all receivers to the other, because they come by turns.
 */
export class Intake {
  readonly #workers: () => readonly WorkerProcess[]
  readonly #limits: IntakeLimits
  readonly #shares: Shares
  readonly #server: Server
  readonly #connections = new Map<number, Connection>()
  /** How many connections each worker has. */
  readonly #load = new Map<WorkerProcess, number>()
  /** Those that came while no worker was there. */
  readonly #waiting = new Set<Connection>()
  #lastNumber = 0
  /** Of several workers with as few connections, the next one in turn. */
  #turn = 0
  #looking: NodeJS.Timeout | undefined

  /** `workers` returns those that take connections now. */
  constructor(workers: () => readonly WorkerProcess[], limits: IntakeLimits) {
    this.#workers = workers
    this.#limits = limits
    this.#shares = new Shares(limits.maxConnectionsPerClient)
    const options = {
      pauseOnConnect: true,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    }
    this.#server = createServer(options, (connection) => this.#accept(connection))
  }

  /** Rejects with Node's own error if the address can't be had. */
  async listen(port: number, host: string): Promise<AddressInfo> {
    const server = this.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        server.off('error', reject)
        resolve()
      })
    })
    setOptionsOnce(server, KEEP_ALIVE_PROBE_MS / 1000)
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref()
    // A server that listens on TCP has an address of this kind.
    return server.address() as AddressInfo
  }

  /** A worker has it. */
  took(number: number): void {
    const connection = this.#connections.get(number)
    connection?.copy?.destroy()
    if (connection !== undefined) connection.copy = undefined
  }

  /** It is closed. */
  closed(number: number): void {
    const connection = this.#connections.get(number)
    if (connection !== undefined) this.#forget(connection)
  }

  /** One worker passes it to another one; to any, if that one is gone. */
  passed({ number, bytes }: PassedNote, copy: Socket, to: WorkerProcess | undefined): void {
    leaveUnread(copy)
    copy.on('error', () => undefined)
    const old = this.#connections.get(number)
    if (old !== undefined) {
      this.#unload(old)
      this.#connections.delete(number)
      old.copy?.destroy()
    }
    // What the worker before still has to say is about the old number.
    this.#add({ bytes, refusal: undefined, giveBack: old?.giveBack }, copy, to)
  }

  /** A worker takes connections from now on. */
  ready(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const connection of waiting) this.#place(connection)
  }

  /** A worker is gone. What it had not taken yet goes to another one; the rest ended with it. */
  gone(worker: WorkerProcess): void {
    for (const connection of this.#connections.values()) {
      if (connection.worker !== worker) continue
      this.#unload(connection)
      if (connection.copy === undefined) this.#forget(connection)
      else this.#place(connection)
    }
    this.#load.delete(worker)
  }

  /** Accepts no more, and drops what no worker has. */
  close(): void {
    clearInterval(this.#looking)
    this.#server.close()
    for (const connection of this.#connections.values()) connection.copy?.destroy()
    this.#waiting.clear()
  }

  #accept(copy: Socket): void {
    copy.on('error', () => undefined)
    this.#add({ bytes: undefined, ...this.#counted(copy) }, copy)
  }

  #counted(connection: Socket): Pick<Connection, 'giveBack' | 'refusal'> {
    try {
      const giveBack = takeConnection(this.#shares, connection, this.#limits.trust)
      return { giveBack, refusal: undefined }
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      return { giveBack: undefined, refusal: error.message }
    }
  }

  #add(
    facts: Pick<Connection, 'bytes' | 'refusal' | 'giveBack'>,
    copy: Socket,
    to?: WorkerProcess | undefined,
  ): void {
    this.#lastNumber++
    const number = this.#lastNumber
    const connection: Connection = { ...facts, number, sinceMs: performance.now(), copy, worker: undefined }
    this.#connections.set(connection.number, connection)
    this.#place(connection, to)
  }

  #place(connection: Connection, to?: WorkerProcess | undefined): void {
    const { number, bytes, refusal, copy } = connection
    const worker = to ?? this.#leastLoaded()
    if (worker === undefined || copy === undefined) {
      this.#waiting.add(connection)
      return
    }
    connection.worker = worker
    this.#load.set(worker, this.#loadOf(worker) + 1)
    const note = {
      number,
      ...(bytes !== undefined && { bytes, isPassed: to !== undefined }),
      ...(refusal !== undefined && { refusal }),
    }
    worker.give(note, copy)
  }

  #leastLoaded(): WorkerProcess | undefined {
    const workers = this.#workers()
    this.#turn = (this.#turn + 1) % Math.max(1, workers.length)
    const inTurn = [...workers.slice(this.#turn), ...workers.slice(0, this.#turn)]
    let least: WorkerProcess | undefined
    for (const worker of inTurn)
      if (least === undefined || this.#loadOf(worker) < this.#loadOf(least)) least = worker
    return least
  }

  #loadOf(worker: WorkerProcess): number {
    return this.#load.get(worker) ?? 0
  }

  #unload(connection: Connection): void {
    const { worker } = connection
    if (worker !== undefined) this.#load.set(worker, this.#loadOf(worker) - 1)
    connection.worker = undefined
  }

  /** Drops the connections that no worker took. */
  #look(): void {
    const latestMs = performance.now() - TAKE_MS
    for (const connection of this.#connections.values())
      if (connection.copy !== undefined && connection.sinceMs < latestMs) this.#forget(connection)
  }

  #forget(connection: Connection): void {
    this.#unload(connection)
    this.#waiting.delete(connection)
    this.#connections.delete(connection.number)
    connection.giveBack?.()
    connection.copy?.destroy()
  }
}
