import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasEnded, keep, stopChild } from './child.js'

/** How long a subject has until its port answers. */
const START_DEADLINE_MS = 10_000
const POLL_MS = 20
/** USER_HZ, in which Linux counts CPU time for everybody since 2.6. */
export const TICKS_PER_SECOND = 100

/** A program and its arguments. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

/** The subject ended before it listened: it refused a flag, or its program is not there. */
export class SubjectRefused extends Error {}

/** A subject that listens, started for one run alone. */
export interface SubjectProcess {
  readonly pid: number
  readonly port: number
  /** User and system time of all its threads so far. */
  cpuSeconds(): number
  residentBytes(): number
  /** What it has said on stdout so far; nothing unless it `isHeard`. */
  said(): string
  stop(): Promise<void>
}

/** Starts a subject on a port that was free, and waits until it answers there. */
export async function startSubject(
  command: (port: number) => Command,
  { isHeard = false }: { readonly isHeard?: boolean } = {},
): Promise<SubjectProcess> {
  const port = await freePort()
  const { file, args } = command(port)
  const child = keep(
    spawn(file, args, { stdio: ['ignore', isHeard ? 'pipe' : 'ignore', 'pipe'], env: subjectEnvironment() }),
  )
  let said = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk
  })
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    words = `${words}${chunk}`.slice(-2000)
  })
  child.on('error', (error) => {
    words = error.message
  })
  await untilItAnswers(child, port, () => words)
  const pid = pidOf(child)
  return {
    pid,
    port,
    cpuSeconds: () => cpuSecondsOf(pid),
    residentBytes: () => residentBytes(pid),
    said: () => said,
    stop: () => stopChild(child),
  }
}

async function untilItAnswers(child: ChildProcess, port: number, words: () => string): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS
  while (!(await answers(port))) {
    if (hasEnded(child)) {
      const lines = words().trim().split('\n')
      throw new SubjectRefused(lines.find((line) => /error|unknown/i.test(line)) ?? lines.at(-1))
    }
    if (performance.now() > deadline) {
      await stopChild(child)
      throw new Error(`Expected port ${port} to answer within ${START_DEADLINE_MS} ms; it said: ${words()}`)
    }
    await sleep(POLL_MS)
  }
}

/** A port that nobody listens on; taken by number, because not every subject can say which one it took. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('Expected a TCP address')
  return address.port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const settle = (isThere: boolean) => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}

function subjectEnvironment(): NodeJS.ProcessEnv {
  // What makes Node itself faster or slower must come from the machine, not from whoever starts the bench.
  const { NODE_OPTIONS: _options, ...rest } = process.env
  return { ...rest, NODE_ENV: 'production' }
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('Expected a process that runs')
  return child.pid
}

/** User and system time of all threads of a process so far. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may hold anything; utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (match === null) throw new Error(`Expected VmRSS in the status of process ${pid}`)
  return Number(match[1]) * 1024
}
