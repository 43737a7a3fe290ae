import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { keep, stopChild } from './child.js'
import type { Programs } from './compile.js'
import type { Command } from './subject-process.js'

/** No end of a transfer takes so long; what does is stuck. */
const DEADLINE_MS = 180_000
/** The last words are kept: progress without a terminal can be megabytes. */
const KEPT_CHARACTERS = 10_000

/** What a command took, from its start to its end. */
export interface Usage {
  readonly seconds: number
  /** Of it and of every process that it waited for. */
  readonly cpuSeconds: number
  /** The largest resident memory of any of them. */
  readonly peakBytes: number
}

/** A command that runs under `c/timed.c`. */
export interface Timed {
  /** Resolves with what `pattern` finds in the words so far; rejects where it ends without having said them. */
  heard(pattern: RegExp): Promise<string>
  /** Rejects with its words where its status isn't 0, or it took too long. */
  readonly ended: Promise<Usage>
  stop(): Promise<void>
}

/** What a command finds around it. */
export interface Surroundings {
  /** Its home, where it may leave what it likes. */
  readonly home: string
  readonly folder?: string
  readonly temporary?: string
  readonly variables?: Readonly<Record<string, string>>
}

/** Runs a command that is told nothing of the machine's own settings: no proxy, no options of Node's, another home. */
export function startTimed(
  { timed }: Programs,
  { file, args }: Command,
  { home, folder = home, temporary = home, variables }: Surroundings,
): Timed {
  const child = keep(
    spawn(timed, [file, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        LANG: 'C.UTF-8',
        HOME: home,
        TMPDIR: temporary,
        NO_PROXY: '*',
        no_proxy: '*',
        ...variables,
      },
    }),
  )
  const words = listen(readable(child.stdout), readable(child.stderr))
  const report = listen(readable(child.stdio[3]))
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
  const ended = once(child, 'close')
    .finally(() => clearTimeout(deadline))
    .then(([status, signal]): Usage => {
      if (status !== 0) throw new Error(`${file} ended by ${signal ?? status}: ${words.last()}`)
      // The program is ours, and prints exactly this.
      return JSON.parse(report.all()) as Usage
    })
  // Awaited where the transfer is; a failure before that must not end the whole bench.
  ended.catch(() => undefined)
  return {
    heard: (pattern) =>
      Promise.race([
        words.match(pattern),
        ended.then(() => {
          throw new Error(`${file} ended before that, and said ${words.last()}`)
        }),
      ]),
    ended,
    stop: () => stopChild(child),
  }
}

/** Starts a receiver as soon as `sender` is ready, and resolves with what both took. Both are gone afterwards. */
export async function both(sender: Timed, startReceiver: () => Promise<Timed>) {
  try {
    const receiver = await startReceiver()
    try {
      const began = performance.now()
      const [sent, received] = await Promise.all([sender.ended, receiver.ended])
      return { sent, received, seconds: (performance.now() - began) / 1000 }
    } finally {
      await receiver.stop()
    }
  } finally {
    await sender.stop()
  }
}

interface Words {
  all(): string
  /** The last lines alone: what led to them may be a hundred states of a progress bar. */
  last(): string
  match(pattern: RegExp): Promise<string>
}

function listen(...streams: readonly Readable[]): Words {
  let words = ''
  const hear = new Set<() => void>()
  for (const stream of streams) {
    stream.on('data', (chunk: Buffer) => {
      words = `${words}${chunk}`.slice(-KEPT_CHARACTERS)
      for (const look of hear) look()
    })
  }
  return {
    all: () => words,
    last: () =>
      words
        .trim()
        .split(/[\r\n]+/)
        .slice(-2)
        .join(' '),
    match: (pattern) =>
      new Promise((resolve) => {
        const look = () => {
          const found = pattern.exec(words)
          if (found === null) return
          hear.delete(look)
          resolve(found[0])
        }
        hear.add(look)
        look()
      }),
  }
}

function readable(stream: ChildProcess['stdio'][number] | undefined): Readable {
  if (stream === null || stream === undefined || !('read' in stream)) throw new Error('Expected a pipe')
  return stream
}
