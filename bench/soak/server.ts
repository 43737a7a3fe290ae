import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { keep } from '../child.js'
import { within } from './wait.js'

/** What the server holds when it has collected its garbage. */
export interface Held {
  readonly residentBytes: number
  readonly heapBytes: number
  readonly descriptors: number
}

/** What its log says of its sockets; each is known by the keyed hash that stands there for its id. */
export interface Ledger {
  readonly begun: Set<string>
  /** How often each was said to have ended. */
  readonly ended: Map<string, number>
  readonly outcomes: Map<string, number>
}

/** The server under soak: the real one, built. */
export interface SoakedServer {
  readonly url: string
  readonly ledger: Ledger
  held(): Promise<Held>
  /** Stops it politely; its exit status. */
  stop(): Promise<number | null>
}

/** Collects garbage when asked, and says what is left. Nothing of the server's is changed by it. */
const REPORTER = `process.on('message', () => { gc(); gc(); process.send(process.memoryUsage()) }); process.channel.unref()`
const DEADLINE_SECONDS = 30

/** Starts `main` with `flags` on a free port. */
export async function startServer(main: string, flags: readonly string[]): Promise<SoakedServer> {
  const preload = `data:text/javascript,${encodeURIComponent(REPORTER)}`
  const child = keep(
    spawn(
      process.execPath,
      ['--expose-gc', '--import', preload, main, '--port', '0', '--log', 'json', ...flags],
      { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
    ),
  )
  // Piped above.
  const [stdout, stderr] = [child.stdout, child.stderr]
  if (stdout === null || stderr === null) throw new Error('Expected pipes')
  const ledger: Ledger = { begun: new Set(), ended: new Map(), outcomes: new Map() }
  const strange: string[] = []
  createInterface({ input: stderr }).on('line', (line) => note(ledger, line, strange))
  const lines = createInterface({ input: stdout })
  const listening = once(lines, 'line') as Promise<[string]>
  const failed = once(child, 'exit').then(() => {
    throw new Error(`ess-server ended: ${strange.join('\n')}`)
  })
  // It ends in the end.
  failed.catch(() => {})
  const [line] = await within(DEADLINE_SECONDS, 'ess-server listens', Promise.race([listening, failed]))
  const url = /^listening on (http\S+)$/.exec(line)?.[1]
  if (url === undefined) throw new Error(`Expected ess-server to say where it listens, got ${line}`)
  return {
    url,
    ledger,
    held: async () => {
      const answer = once(child, 'message') as Promise<[NodeJS.MemoryUsage]>
      child.send('report')
      const [{ rss, heapUsed }] = await within(
        DEADLINE_SECONDS,
        'ess-server reports',
        Promise.race([answer, failed]),
      )
      const descriptors = readdirSync(`/proc/${child.pid}/fd`).length
      return { residentBytes: rss, heapBytes: heapUsed, descriptors }
    },
    stop: async () => {
      const exit = once(child, 'close') as Promise<[number | null]>
      child.kill('SIGTERM')
      const [code] = await within(DEADLINE_SECONDS, 'ess-server stops', exit)
      if (strange.length > 0) throw new Error(`ess-server wrote what is no log:\n${strange.join('\n')}`)
      return code
    },
  }
}

function note({ begun, ended, outcomes }: Ledger, line: string, strange: string[]): void {
  if (!line.startsWith('{')) {
    strange.push(line)
    return
  }
  // One of the server's own lines.
  const { msg, socket, outcome } = JSON.parse(line) as { msg: string; socket?: string; outcome?: string }
  if (msg === 'bug') strange.push(line)
  if (socket === undefined) return
  begun.add(socket)
  if (msg !== 'ended') return
  ended.set(socket, (ended.get(socket) ?? 0) + 1)
  outcomes.set(outcome ?? '', (outcomes.get(outcome ?? '') ?? 0) + 1)
}
