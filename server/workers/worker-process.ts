import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { Channel } from './channel.js'
import {
  type ConnectionNote,
  isPassedNote,
  type PassedNote,
  readToParent,
  type ToParent,
  type ToWorker,
} from './messages.js'

/** What a worker tells its parent. */
export interface WorkerListeners {
  message(message: ToParent, worker: WorkerProcess): void
  /** A connection is for another worker. Its bytes are not read here. */
  passed(note: PassedNote, connection: Socket, worker: WorkerProcess): void
  /** Whole lines of its log, or of a crash. */
  lines(text: string): void
  /** It is gone, and all that it has said was heard. `how` is its exit status or the signal that ended it. */
  gone(worker: WorkerProcess, how: string): void
}

/** The channel's place among the descriptors of a worker, after stdin, stdout and stderr. */
export const CHANNEL_FD = 3

/** A worker, as its parent sees it. */
export class WorkerProcess {
  readonly name: string
  isDrained = false
  #isGone = false
  #readyAtMs: number | undefined
  readonly #child: ChildProcess
  readonly #channel: Channel<ToWorker, ToParent>

  constructor(name: string, listeners: WorkerListeners) {
    this.name = name
    this.#child = fork(workerFile(), [name], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'ipc'] })
    // A connection that can't be sent goes to another worker when this one is gone, which is what its error means.
    this.#child.on('error', () => undefined)
    this.#child.on('message', (note: unknown, connection) => {
      // The client has left meanwhile, and the system had no descriptor to give.
      if (connection === undefined || connection === null) return
      if (!isPassedNote(note)) throw new Error('Expected a connection for another worker')
      // Workers pass on nothing but TCP connections.
      listeners.passed(note, connection as Socket, this)
    })
    // Opened above, as pipes.
    const [, , stderr, channel] = this.#child.stdio as unknown as [null, null, Readable, Duplex]
    passLines(stderr, listeners.lines)
    this.#channel = new Channel(channel, readToParent, (message) => listeners.message(message, this))
    this.#child.once('close', (code, signal) => {
      this.#isGone = true
      listeners.gone(this, signal ?? `exit status ${code}`)
    })
  }

  /** True while it takes connections. */
  get isReady(): boolean {
    return this.#readyAtMs !== undefined && !this.#isGone
  }

  /** How long it has served, in milliseconds. */
  get servedMs(): number {
    return this.#readyAtMs === undefined ? 0 : performance.now() - this.#readyAtMs
  }

  /** It serves from now on. */
  serves(): void {
    this.#readyAtMs = performance.now()
  }

  tell(message: ToWorker): void {
    if (!this.#isGone) this.#channel.now(message)
  }

  /** Gives it a connection, of which this process keeps a copy until the worker says that it took it. */
  give(note: ConnectionNote, connection: Socket): void {
    // An error is told by the worker's end.
    this.#child.send(note, connection, { keepOpen: true }, () => undefined)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/**
 * The compiled program of a worker. A test runner that runs the sources needs it built first.
 */
function workerFile(): URL {
  const own = import.meta.url
  return own.endsWith('.ts') ? new URL('../../dist/server/workers/main.js', own) : new URL('./main.js', own)
}

/** Passes on whole lines, because those of several workers come by turns. The rest comes at the end. */
function passLines(stream: Readable, write: (text: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const all = rest + text
    const end = all.lastIndexOf('\n') + 1
    rest = all.slice(end)
    if (end > 0) write(all.slice(0, end))
  })
  stream.once('end', () => {
    if (rest !== '') write(`${rest}\n`)
  })
}
