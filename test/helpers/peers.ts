import { open, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import {
  isTerminal,
  PROBLEMS,
  type ProblemCode,
  StatusDecoder,
  type StatusEvent,
  type TerminalEvent,
} from '../../shared/index.js'
import { atOtherNode } from './other-node.js'
import type { Ending, Program } from './run.js'
import { runCurl } from './run-curl.js'
import { runEss } from './run-ess.js'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS, until } from './within.js'

/** What a person sends or receives with. */
export type Tool = 'curl' | 'ess'
export const TOOLS: readonly Tool[] = ['curl', 'ess']

/** Every sender with every receiver. */
export const PAIRS = TOOLS.flatMap((sender) => TOOLS.map((receiver) => ({ sender, receiver })))

/** What is sent: a file by its path, a file through a pipe (its size unknown), or what the test writes to `stdin`. */
export type Source = { readonly file: string } | { readonly pipe: string } | 'held'

export interface Sender extends Program {
  readonly tool: Tool
  /** The download URL it was given. */
  readonly url: string
}

export interface Receiver extends Program {
  readonly tool: Tool
  /** Where it writes, alone in a folder of its own. */
  readonly path: string
}

/** Starts a sender, whose stdout is the NDJSON status stream with either tool. */
export function spawnSender(
  tool: Tool,
  server: { readonly url: string },
  source: Source,
  args: readonly string[] = [],
): Promise<Program> {
  const stdin = source === 'held' ? 'open' : 'pipe' in source ? { file: source.pipe } : ''
  if (tool === 'ess') {
    const path = source !== 'held' && 'file' in source ? source.file : '-'
    return runEss(server.url, ['send', '--json', ...args, path], { stdin })
  }
  // `-T .` reads what is there and meanwhile listens to the server; `-T -` would only read.
  const path = source === 'held' ? '.' : 'file' in source ? source.file : '-'
  const json = ['-H', 'Accept: application/x-ndjson', '--fail-with-body']
  return runCurl([...json, ...args, '-T', path, `${server.url}/`], { stdin })
}

/** Starts a sender and waits for its download URL. */
export async function startSender(
  tool: Tool,
  server: { readonly url: string },
  source: Source,
  args?: readonly string[],
): Promise<Sender> {
  const program = await spawnSender(tool, server, source, args)
  const [, url = ''] = await program.untilStdout(/^\{.*"url":"([^"]+)".*\}\n/)
  return { ...program, tool, url }
}

/** Starts a receiver. */
export async function startReceiver(
  tool: Tool,
  link: string,
  args: readonly string[] = [],
): Promise<Receiver> {
  const url = atOtherNode(link)
  const path = join(await tempDir(), 'received')
  const program =
    tool === 'ess'
      ? await runEss(undefined, ['get', ...args, url, '-o', path])
      : await runCurl(['--fail-with-body', ...args, '-o', path, url])
  return { ...program, tool, path }
}

/** Starts a receiver for a sender, and waits until the sender was told. */
export async function connectReceiver(
  tool: Tool,
  sender: Sender,
  args?: readonly string[],
): Promise<Receiver> {
  const receiver = await startReceiver(tool, sender.url, args)
  await sender.untilStdout(/"connected"/)
  return receiver
}

/** Waits until some bytes have reached the receiver's disk. */
export async function untilReceiving(receiver: Receiver): Promise<void> {
  await until(`${receiver.name} writes its first bytes`, async () => {
    const folder = dirname(receiver.path)
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(unlessGone([]))
    // A folder has a size before anything is in it.
    const files = entries.filter((entry) => entry.isFile())
    const sizes = await Promise.all(files.map(({ parentPath, name }) => sizeOf(join(parentPath, name))))
    return sizes.some((size) => size > 0)
  })
}

/** Bytes; 0 for a file that is gone. */
async function sizeOf(path: string): Promise<number> {
  const { size } = await stat(path).catch(unlessGone({ size: 0 }))
  return size
}

/** For what isn't there any more, `otherwise`: a part was written anew, or has got its name. */
function unlessGone<T>(otherwise: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return otherwise
    throw error
  }
}

/** The events of a status stream. */
export function eventsOf(stdout: Uint8Array | string): StatusEvent[] {
  return new StatusDecoder().push(stdout.toString())
}

/** The last word of a status stream, and nothing after it. Undefined when there is none. */
export function verdictOf(stdout: Uint8Array | string): TerminalEvent | undefined {
  const last = eventsOf(stdout).at(-1)
  return last !== undefined && isTerminal(last) ? last : undefined
}

/** The sender reads "delivered", confirmed, with the number of bytes; its exit status agrees. */
export async function expectDelivered(sender: Program, bytes: number, ms?: number): Promise<void> {
  const ending = await sender.ended(ms)
  expect(verdictOf(ending.stdout), told(sender, ending)).toEqual({
    event: 'delivered',
    bytes,
    confirmed: true,
  })
  expect(ending.code, told(sender, ending)).toBe(0)
}

/** The receiver ends well. */
export async function expectReceived(receiver: Receiver, ms?: number): Promise<void> {
  const ending = await receiver.ended(ms)
  expect(ending.code, told(receiver, ending)).toBe(0)
}

/** curl's exit status for a response that ended too early: how a sender fails that has nothing more to send. */
export const CURL_PARTIAL_FILE = 18
/** curl's exit status for a connection that takes no more: how a sender fails that goes on sending. */
const CURL_SEND_ERROR = 55
/** curl's exit status for a connection that was reset: how a receiver fails. */
const CURL_RECV_ERROR = 56
/** curl's exit status for an HTTP error, with `--fail`. */
export const CURL_HTTP_ERROR = 22

/** The sender reads that it failed, and why; its exit status agrees. */
export async function expectSenderFailed(sender: Sender, code: ProblemCode, ms = DEADLINE_MS): Promise<void> {
  await sender.untilStdout(/"failed"/, ms)
  const ending = await endOfSender(sender, ms)
  expect(verdictOf(ending.stdout), told(sender, ending)).toMatchObject({
    event: 'failed',
    problem: { type: expect.stringMatching(new RegExp(`[:/#]${code}$`)), title: PROBLEMS[code].title },
  })
  expect(
    sender.tool === 'curl' ? [CURL_PARTIAL_FILE, CURL_SEND_ERROR] : [PROBLEMS[code].exit],
    told(sender, ending),
  ).toContain(ending.code)
}

/** The sender's server is gone; whatever it was told last, it was not "delivered". */
export async function expectSenderCutOff(sender: Sender, ms = DEADLINE_MS): Promise<void> {
  const ending = await endOfSender(sender, ms)
  expect(eventsOf(ending.stdout), told(sender, ending)).not.toContainEqual(
    expect.objectContaining({ event: 'delivered' }),
  )
  expect(
    sender.tool === 'curl'
      ? [CURL_PARTIAL_FILE, CURL_SEND_ERROR, CURL_RECV_ERROR]
      : [PROBLEMS['connection-lost'].exit, PROBLEMS['shutting-down'].exit],
    told(sender, ending),
  ).toContain(ending.code)
}

/** `ess` ends by itself. curl, while it waits for its stdin, does not see that the server has hung up. */
function endOfSender(sender: Sender, ms: number): Promise<Ending> {
  if (sender.tool === 'curl') sender.stdin.end()
  return sender.ended(ms)
}

/** The receiver was cut off midway and knows it; `ess` leaves no file behind. */
export async function expectCutOff(receiver: Receiver, ms = DEADLINE_MS): Promise<void> {
  const ending = await receiver.ended(ms)
  if (receiver.tool === 'curl') {
    expect([CURL_PARTIAL_FILE, CURL_RECV_ERROR], told(receiver, ending)).toContain(ending.code)
  } else {
    expect(ending.code, told(receiver, ending)).toBe(PROBLEMS.incomplete.exit)
    expect(ending.stderr, told(receiver, ending)).toMatch(/^ess: .* \[incomplete\]$/m)
    await expectNoFile(receiver)
  }
}

/** The receiver got a problem instead of a file, as one of `codes`. */
export async function expectRefused(receiver: Receiver, ...codes: readonly ProblemCode[]): Promise<void> {
  const ending = await receiver.ended()
  if (receiver.tool === 'curl') {
    expect(ending.code, told(receiver, ending)).toBe(CURL_HTTP_ERROR)
    const statuses = codes.map((code) => `The requested URL returned error: ${PROBLEMS[code].status}`)
    expect(
      statuses.some((words) => ending.stderr.includes(words)),
      told(receiver, ending),
    ).toBe(true)
  } else {
    expect(
      codes.map((code) => PROBLEMS[code].exit),
      told(receiver, ending),
    ).toContain(ending.code)
    // Several problems share an exit status, and so does a broken 200.
    expect(ending.stderr, told(receiver, ending)).toMatch(
      new RegExp(`^ess: .* \\[(?:${codes.join('|')})\\]$`, 'm'),
    )
    await expectNoFile(receiver)
  }
}

/** Neither the file nor its `.part` is there. */
export async function expectNoFile(receiver: Receiver): Promise<void> {
  expect(await readdir(dirname(receiver.path))).toEqual([])
}

/** A file of `size` bytes that takes no room on the disk; for transfers that are not meant to reach their end. */
export async function sparseFile(size: number): Promise<string> {
  const path = join(await tempDir(), 'sparse')
  const file = await open(path, 'w')
  await file.truncate(size)
  await file.close()
  return path
}

/** What a program said, for the message of a failing expectation. */
function told(program: Program, ending: Ending): string {
  const stdout = ending.stdout.subarray(-2000).toString('latin1')
  return `${program.name} exited with ${ending.code ?? ending.signal}\nstdout: ${stdout}\nstderr: ${ending.stderr}`
}
