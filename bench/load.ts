import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { keep, stopChild } from './child.js'
import type { Programs } from './compile.js'
import type { Certificate, Subject } from './subjects.js'

/** No load takes so long; what does is stuck. */
const LOAD_DEADLINE_MS = 180_000

/** What to send, and how to take it. */
export interface LoadOptions {
  readonly bytes: number
  readonly framing?: 'length' | 'chunked' | 'multipart'
  readonly transfers?: number
  readonly atOnce?: number
  /** What the kernel may hold of each connection on the load's side; as much as it likes without it. */
  readonly socketBufferBytes?: number
  /** Set where both legs speak TLS. */
  readonly certificate?: Certificate | undefined
  /** More arguments of the receiver's; see `c/receiver.c`. */
  readonly receiver?: Readonly<Record<string, number>>
  /** True where the receiver cuts the transfers: the sender is then ended, and not asked how it went. */
  readonly isCut?: boolean
}

/** What the receiver reports, after it has compared every byte's sum with what it must be. */
export interface Received {
  readonly transfers: number
  readonly bytes: number
  readonly sum: string
  readonly seconds: number
  readonly firstByteUs: readonly number[]
  readonly windowBytes: readonly number[]
}

/** A load program that listens behind a proxy, and what it will report. */
export interface Origin {
  readonly port: number
  readonly report: Promise<Received>
  stop(): Promise<void>
}

/** Sends through `subject` at `port`. Rejects where a transfer failed, or a byte was wrong. */
export async function runLoad(
  programs: Programs,
  subject: Subject,
  port: number,
  options: LoadOptions,
  origin?: Origin,
): Promise<Received> {
  const { bytes, framing = 'length', transfers = 1, atOnce = 1, certificate } = options
  const shared = {
    port,
    transfers,
    'at-once': atOnce,
    'socket-buffer': options.socketBufferBytes ?? 0,
    tls: certificate === undefined ? 0 : 1,
  }
  const receiver =
    origin === undefined
      ? keep(
          spawn(programs.receiver, flags({ ...shared, ...options.receiver }), {
            stdio: ['pipe', 'ignore', 'pipe'],
          }),
        )
      : undefined
  const senderFlags = flags({
    ...shared,
    bytes,
    framing,
    route: subject.route,
    continue: subject.says100 ? 1 : 0,
    expect: subject.verdict,
  })
  const sender = keep(
    spawn(programs.sender, senderFlags, { stdio: ['ignore', receiver?.stdin ?? 'ignore', 'pipe'] }),
  )
  // The sender has its own end now; the receiver must see the end of its lines when the sender is gone.
  receiver?.stdin?.destroy()
  const deadline = setTimeout(() => {
    sender.kill('SIGKILL')
    receiver?.kill('SIGKILL')
  }, LOAD_DEADLINE_MS)
  try {
    const received = receiver === undefined ? origin?.report : reportOf(receiver, 'receiver')
    const sent = reportOf(sender, 'sender')
    if (options.isCut) {
      // Whoever sends into a transfer that was cut on purpose fails, rightly; the receiver has seen the bytes.
      sent.catch(() => undefined)
      return whole(await received)
    }
    const [gone, there] = await Promise.all([sent, received])
    return compare(gone, whole(there))
  } finally {
    clearTimeout(deadline)
    await stopChild(sender)
    if (receiver !== undefined) await stopChild(receiver)
  }
}

/** Starts the receiver as an origin that takes `transfers` POSTs. */
export async function startOrigin(programs: Programs, options: LoadOptions): Promise<Origin> {
  const { transfers = 1, atOnce = 1, certificate } = options
  const origin = flags({
    listen: 1,
    transfers,
    'at-once': atOnce,
    ...(certificate && { tls: 1, certificate: certificate.certificate, key: certificate.key }),
  })
  const child = keep(spawn(programs.receiver, origin, { stdio: ['ignore', 'pipe', 'pipe'] }))
  const report = reportOf(child, 'origin')
  // Whoever runs the load awaits it; until then a failure must not end the whole bench.
  report.catch(() => undefined)
  const [line] = await once(child.stdout, 'data')
  return { port: Number(String(line)), report, stop: () => stopChild(child) }
}

/** `{ 'at-once': 5 }` as arguments: `--at-once 5`. */
export function flags(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)])
}

/** Resolves with the last line that a load program writes to stderr; rejects with its words where it failed. */
export async function reportOf(
  child: ChildProcess & { readonly stderr: Readable | null },
  name: string,
): Promise<Received> {
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    words += chunk
  })
  const [status, signal] = await once(child, 'close')
  if (status !== 0) throw new Error(`${name}: ${words.trim() || `ended by ${signal ?? status}`}`)
  // The programs are ours, and print exactly this.
  return JSON.parse(words) as Received
}

function whole(report: Received | undefined): Received {
  if (report === undefined) throw new Error('Expected a receiver or an origin')
  return report
}

function compare(sent: Received, received: Received): Received {
  const isSame =
    sent.transfers === received.transfers && sent.bytes === received.bytes && sent.sum === received.sum
  if (isSame) return received
  const say = ({ transfers, bytes, sum }: Received) => `${bytes} bytes in ${transfers} transfers, sum ${sum}`
  throw new Error(`wrong bytes: sent ${say(sent)}, received ${say(received)}`)
}
