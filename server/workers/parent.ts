import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { ResolvedOptions, ServiceOptions } from '../broker/options.js'
import type { Pair } from '../listen/tls.js'
import { timings } from '../node/timings.js'
import { withResolvers } from '../node/with-resolvers.js'
import type { LogFormat } from '../ops/log.js'
import { type Metrics, type MetricsAsData, sumUp } from '../ops/metrics.js'
import { Figures } from './figures.js'
import { Intake } from './intake.js'
import { MachineLimits } from './machine-limits.js'
import { type Handlers, handle, type TokenHashes, type ToParent, type ToWorker } from './messages.js'
import { WorkerProcess } from './worker-process.js'
import { WorkersIndex } from './workers-index.js'

/** What all workers of a machine serve. */
export interface WorkersSetup {
  readonly count: number
  readonly options: ServiceOptions
  /** The same, resolved. */
  readonly resolved: ResolvedOptions
  readonly maxConnectionsPerClient: number
  readonly log: LogFormat
  /** False where nothing shows the figures. */
  readonly isMeasured: boolean
  /** What counts with TLS alone. */
  readonly hstsMaxAge: number
  /** Writes lines that a worker wrote. */
  readonly lines: (text: string) => void
  /** Writes a line of the log. */
  readonly note: (message: string) => void
}

/** A worker that lived this long before it died is started again at once. */
const LONG_LIFE_MS = 5000

/** One that dies at once is started again after this long, twice that the next time, and so on. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

/** What is left to a worker beyond the drain and the last words of its connections, before it is killed. */
const LAST_MS = 2000

/** The longest that a timer of Node's can be. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** What is the same for every worker, until it changes. */
type Begin = Omit<Extract<ToWorker, { kind: 'begin' }>, 'name'>

/** The workers of a machine: started, given their connections, replaced when one dies, and stopped together. */
export class Workers {
  readonly #setup: WorkersSetup
  readonly #begin: { -readonly [Field in keyof Begin]: Begin[Field] }
  readonly #workers = new Set<WorkerProcess>()
  readonly #intake: Intake
  readonly #limits: MachineLimits<WorkerProcess>
  readonly #index = new WorkersIndex((message) => this.#tellAll(message))
  readonly #figures = new Figures()
  /** Deaths that are waiting for their restart. */
  readonly #pauses = new Set<NodeJS.Timeout>()
  /** Called after each step of a stop. */
  readonly #watchers = new Set<() => void>()
  readonly #started = withResolvers<void>()
  readonly #handlers: Handlers<ToParent, [WorkerProcess]> = {
    ready: (message, worker) => this.#serves(message, worker),
    failed: ({ trouble }) => {
      this.#trouble = trouble
    },
    took: ({ number }) => this.#intake.took(number),
    closed: ({ number }) => this.#intake.closed(number),
    share: ({ what, client, by }, worker) => this.#limits.changed(worker, what, client, by),
    missed: ({ client }) => this.#limits.missed(client),
    metrics: ({ ask, metrics }, worker) => this.#figures.answered(worker, ask, metrics),
    drained: (_message, worker) => {
      worker.isDrained = true
      this.#look()
    },
    ...this.#index.handlers,
  }
  #names = 0
  #deathsAtOnce = 0
  #restarts = 0
  #gear: { readonly gear: string; readonly why: string | undefined } | undefined
  #hasStarted = false
  #trouble: string | undefined
  #isStopping = false
  #isClosing = false

  constructor(setup: WorkersSetup) {
    this.#setup = setup
    const { options, resolved, log, isMeasured, hstsMaxAge } = setup
    this.#begin = {
      kind: 'begin',
      options,
      log,
      isMeasured,
      logKey: randomBytes(32).toString('hex'),
      secret: randomBytes(32).toString('hex'),
      tokens: undefined,
      pair: undefined,
      hstsMaxAge,
    }
    this.#intake = new Intake(() => this.#ready(), {
      maxConnectionsPerClient: setup.maxConnectionsPerClient,
      trust: resolved.trust,
    })
    const most = {
      sockets: resolved.maxSocketsPerClient,
      reservations: resolved.maxReservationsPerClient,
      waiting: resolved.maxWaitingPerClient,
      room: resolved.maxSockets,
      awaiting: resolved.maxSockets,
    }
    this.#limits = new MachineLimits(most, resolved.maxMissesPerClient, (message) => this.#tellAll(message))
  }

  /** Starts all workers. Rejects with an Error that says why, if one of them can't serve. */
  async start(): Promise<void> {
    for (let worker = 0; worker < this.#setup.count; worker++) this.#startOne()
    await this.#started.promise
  }

  /** The best gear of the first worker, and why none is better; known once all have started. */
  get relay(): { readonly gear: string; readonly why: string | undefined } {
    return this.#gear ?? { gear: 'streams', why: undefined }
  }

  get isAccepting(): boolean {
    return !this.#isStopping && this.#ready().length > 0
  }

  /** How many take connections now. */
  get readyCount(): number {
    return this.#ready().length
  }

  /** How many died and were started again. */
  get restarts(): number {
    return this.#restarts
  }

  /** Accepts connections from now on. Rejects with Node's own error if the address can't be had. */
  async listen(port: number, host: string): Promise<AddressInfo> {
    return await this.#intake.listen(port, host)
  }

  /** Before the start too, where tokens are asked for. */
  setTokens(tokens: TokenHashes): void {
    this.#begin.tokens = tokens
    this.#tellAll({ kind: 'tokens', tokens })
  }

  /** Before the start too, with TLS. */
  setPair(pair: Pair): void {
    this.#begin.pair = pair
    this.#tellAll({ kind: 'certificate', pair })
  }

  /** The figures of all workers, those that have died too, and `own`. */
  async metrics(own: MetricsAsData): Promise<Metrics> {
    return sumUp([...(await this.#figures.collect(this.#ready())), own])
  }

  /**
   * Takes no new transfers, lets running ones go on for `drainMs`, then fails the rest. Resolves when the last worker
   * is gone.
   */
  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true
    this.#tellAll({ kind: 'stop', drainMs })
    await this.#closed(drainMs)
  }

  /** Fails all transfers, and tells both sides. Resolves when the last worker is gone. */
  async stopNow(): Promise<void> {
    this.#isStopping = true
    this.#tellAll({ kind: 'stopNow' })
    await this.#closed(0)
  }

  async #closed(drainMs: number): Promise<void> {
    for (const pause of this.#pauses) clearTimeout(pause)
    const deadline = setTimeout(
      () => {
        for (const worker of this.#workers) worker.kill()
      },
      Math.min(drainMs + timings.lastWordsMs + LAST_MS, MAX_TIMER_MS),
    )
    // Until then each worker still answers: a receiver may come back at any of them.
    await this.#until(() => [...this.#workers].every(({ isDrained }) => isDrained))
    if (!this.#isClosing) {
      this.#isClosing = true
      this.#intake.close()
      this.#tellAll({ kind: 'close' })
    }
    await this.#until(() => this.#workers.size === 0)
    clearTimeout(deadline)
  }

  #startOne(): void {
    this.#names++
    const name = `worker-${this.#names}`
    const worker = new WorkerProcess(name, {
      message: (message, from) => handle(this.#handlers, message, from),
      passed: (note, connection, from) => {
        this.#intake.passed(note, connection, this.#named(note.to))
        from.tell({ kind: 'passed', number: note.number })
      },
      lines: this.#setup.lines,
      gone: (gone, how) => this.#gone(gone, how),
    })
    this.#workers.add(worker)
    worker.tell({ ...this.#begin, name })
    for (const message of this.#limits.full()) worker.tell(message)
  }

  #ready(): WorkerProcess[] {
    return [...this.#workers].filter(({ isReady }) => isReady)
  }

  #named(name: string): WorkerProcess | undefined {
    return this.#ready().find((worker) => worker.name === name)
  }

  #tellAll(message: ToWorker): void {
    for (const worker of this.#workers) worker.tell(message)
  }

  #serves(message: Extract<ToParent, { kind: 'ready' }>, worker: WorkerProcess): void {
    worker.serves()
    this.#gear ??= message
    this.#index.join(worker, message.address ?? '')
    this.#intake.ready()
    if (this.#hasStarted || this.#ready().length < this.#setup.count) return
    this.#hasStarted = true
    this.#started.resolve()
  }

  #gone(worker: WorkerProcess, how: string): void {
    this.#workers.delete(worker)
    this.#index.drop(worker)
    this.#limits.drop(worker)
    this.#figures.gone(worker)
    this.#intake.gone(worker)
    this.#look()
    if (this.#isStopping) return
    if (this.#hasStarted) this.#startAgain(worker, how)
    else this.#started.reject(new Error(this.#trouble ?? `A worker ended before it could serve (${how}).`))
  }

  #startAgain({ servedMs }: WorkerProcess, how: string): void {
    this.#deathsAtOnce = servedMs > LONG_LIFE_MS ? 0 : this.#deathsAtOnce + 1
    const pauseMs =
      this.#deathsAtOnce === 0
        ? 0
        : Math.min(FIRST_PAUSE_MS * 2 ** (this.#deathsAtOnce - 1), LONGEST_PAUSE_MS)
    this.#setup.note(
      `a worker died (${how}); another one is started${pauseMs === 0 ? '' : ` in ${pauseMs} ms`}`,
    )
    this.#restarts++
    const pause = setTimeout(() => {
      this.#pauses.delete(pause)
      this.#startOne()
    }, pauseMs)
    this.#pauses.add(pause)
  }

  #look(): void {
    for (const watcher of this.#watchers) watcher()
  }

  /** Resolves as soon as `isSo` after a step of a stop. */
  #until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!isSo()) return
        this.#watchers.delete(look)
        resolve()
      }
      this.#watchers.add(look)
      look()
    })
  }
}
