import { type ChildProcess, spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import { onTestFinished } from 'vitest'
import { childEnv } from './child-env.js'
import { recordSecretsIn } from './suite-logs.js'
import { DEADLINE_MS, within } from './within.js'

export interface RunOptions {
  /**
   * What the program reads: some bytes, a file (through a pipe, so that its size can't be seen), or `open`:
   * a pipe that the test writes into and ends. Default: nothing, at its end from the start.
   */
  readonly stdin?: Uint8Array | string | { readonly file: string } | 'open'
  /** Environment variables on top of the inherited ones; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Its working folder. */
  readonly cwd?: string
  /** Looks at how it ended, whatever its test did. */
  readonly record?: (ending: Ending) => void
}

/** How a program ended. Exactly one of `code` and `signal` is not null. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** A running program. */
export interface Program {
  readonly name: string
  readonly pid: number
  /** What the program reads, with `stdin: 'open'`. */
  readonly stdin: Writable
  /** What it wrote so far. */
  stdout(): string
  stderr(): string
  /** Waits until what it wrote matches; rejects when the program ends before that, or after `ms`. */
  untilStdout(pattern: RegExp, ms?: number): Promise<RegExpExecArray>
  untilStderr(pattern: RegExp, ms?: number): Promise<RegExpExecArray>
  /** Sends a signal; one to a program that has ended does nothing. */
  kill(signal: NodeJS.Signals): void
  /** Waits for the end. */
  ended(ms?: number): Promise<Ending>
}

/**
 * Starts a program; it is killed, if it still runs, when the test is over.
 * `name` is what failures call it. Rejects when it cannot be started.
 */
export async function run(
  name: string,
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Program> {
  const child = spawn(file, args, {
    stdio: 'pipe',
    env: childEnv(options.env),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  })
  const out = new Collected(child.stdout)
  const err = new Collected(child.stderr)
  const ending = new Promise<Ending>((resolve) => {
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: out.bytes(), stderr: err.bytes().toString() }),
    )
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    const end = await within(DEADLINE_MS, `${name} ends when killed`, ending)
    recordSecretsIn([...args, head(end.stdout), head(end.stderr)].join('\n'))
    options.record?.(end)
  })
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  feed(child, options.stdin)

  const untilMatch = (what: string, output: Collected, pattern: RegExp, ms: number) =>
    within(
      ms,
      `${name} writes ${pattern} to ${what}`,
      Promise.race([
        output.match(pattern),
        ending.then((end) => {
          // What came last may match, and is seen only now.
          const match = pattern.exec(output.text())
          if (match !== null) return match
          throw new Error(
            `${name} ended with ${end.code ?? end.signal} before it wrote ${pattern} to ${what}:\n` +
              `${end.stdout.subarray(0, 2000)}\n${end.stderr}`,
          )
        }),
      ]),
    ).catch((error: unknown) => {
      throw new Error(
        `${error instanceof Error ? error.message : error}; so far: ${err.text()}${lastOf(out.text())}`,
      )
    })
  return {
    name,
    // Set, because 'spawn' was emitted.
    pid: child.pid ?? 0,
    stdin: child.stdin,
    stdout: () => out.text(),
    stderr: () => err.text(),
    untilStdout: (pattern, ms = DEADLINE_MS) => untilMatch('stdout', out, pattern, ms),
    untilStderr: (pattern, ms = DEADLINE_MS) => untilMatch('stderr', err, pattern, ms),
    kill: (signal) => void child.kill(signal),
    ended: (ms = DEADLINE_MS) => within(ms, `${name} ends`, ending),
  }
}

/** The last events of a program that writes some. */
function lastOf(stdout: string): string {
  return stdout.startsWith('{') ? `\n${stdout.slice(-1000)}` : ''
}

/** Where events and links stand; what comes after is a file. */
function head(output: Buffer | string): string {
  return output.slice(0, 64 * 1024).toString()
}

function feed(child: ChildProcess, source: RunOptions['stdin']): void {
  const { stdin } = child
  if (stdin === null) return
  // EPIPE: a program may end, or close its stdin, before it has read it all. Its ending is what tests look at.
  stdin.on('error', () => {})
  if (source === 'open') return
  if (source === undefined || typeof source === 'string' || source instanceof Uint8Array) stdin.end(source)
  // The same EPIPE.
  else pipeline(createReadStream(source.file), stdin).catch(() => {})
}

/** All that a stream gave so far. */
class Collected {
  readonly #chunks: Buffer[] = []
  readonly #stream: Readable
  readonly #decoder = new StringDecoder()
  #text = ''
  /** How many chunks are in the text. */
  #decoded = 0

  constructor(stream: Readable) {
    this.#stream = stream
    stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    // Ends with the process; its 'close' is what is waited for.
    finished(stream).catch(() => {})
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  /** The same as text. Tests ask again and again, so what they have asked for is not decoded again. */
  text(): string {
    for (const chunk of this.#chunks.slice(this.#decoded)) this.#text += this.#decoder.write(chunk)
    this.#decoded = this.#chunks.length
    return this.#text
  }

  match(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve) => {
      const look = () => {
        const match = pattern.exec(this.text())
        if (match === null) return
        this.#stream.off('data', look)
        resolve(match)
      }
      this.#stream.on('data', look)
      look()
    })
  }
}
