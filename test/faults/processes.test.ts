import { beforeEach, expect, test } from 'vitest'
import { LENGTH_TRAILER } from '../../shared/index.js'
import { needs } from '../helpers/needs.js'
import type { Tool } from '../helpers/peers.js'
import type { Program } from '../helpers/run.js'
import { startServer } from '../helpers/start-server.js'
import { startTcpProxy } from '../helpers/tcp-proxy.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'
import { DELIVERED, expectationOf, NEXT, RESET, SILENCE, WHOLE } from './expectations.js'
import { connectHttp1 } from './http1-peer.js'
import { type Cell, cellsOf, EFFECTS, FAULTS, isLong, type Leg, nameOf } from './matrix.js'
import type { Peer } from './peer.js'
import { expectExit, HALF, isGone, REST, receiveFrom, sendTo } from './programs.js'

beforeEach((context) => needs(context, 'curl'))

/** Programs take their time, on a busy machine of two cores. */
const AT_A_TIME = 4
const ALL_MS = 170_000

/** What a receiver sees of a link that is over. */
const GONE = '410 gone'

/** The server waits 30 s for a confirmation. */
const END_MS = 45_000

/**
 * A row for each fault at each phase, on the connection of one program; and what the other one exits with. The length
 * is unknown, because a pipe can be held up.
 */
function rowsOf(hurt: Leg): Cell[] {
  const rows = cellsOf('HTTP/1.1').filter(
    ({ leg, length, way }) => leg === hurt && length === 'unknown' && way === 'early response',
  )
  // Those that take longest begin first.
  return [...rows.filter(isLong), ...rows.filter((row) => !isLong(row))]
}

test.each([
  ['sends', 'sender', playSendersRow],
  ['receives', 'receiver', playReceiversRow],
] as const)(
  'curl and ess exit with the truth, whatever happens to the connection of the one that %s',
  { timeout: ALL_MS },
  async (_what, leg, playRow) => {
    const server = await startServer('--stall-timeout', '3', '--heartbeat', '1')
    const rows = rowsOf(leg).entries()
    const failures: string[] = []
    const worker = async () => {
      for (const [index, row] of rows) {
        const tools: [Tool, Tool] = index % 2 === 0 ? ['ess', 'curl'] : ['curl', 'ess']
        await playRow(row, tools, server.port).catch((error: unknown) => {
          failures.push(`${nameOf(row)}, from ${tools[0]} to ${tools[1]}: ${error}`)
        })
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    expect(failures.join('\n')).toBe('')
  },
)

/** True where `ess` has lost its connection before the server could answer: it asks again, and all goes well. */
function asksAgain(tool: Tool, { fault, phase }: Cell): boolean {
  return tool === 'ess' && phase === 'head' && (fault === 'FIN' || fault === 'RST')
}

async function playSendersRow(
  row: Cell,
  [senderTool, receiverTool]: [Tool, Tool],
  port: number,
): Promise<void> {
  const { fault, phase } = row
  const isWell = EFFECTS[fault] === 'harmless' || asksAgain(senderTool, row)
  const expected = isWell ? DELIVERED : expectationOf(row)
  const proxy = await startTcpProxy(port)
  const strike = () => proxy.strike(FAULTS[fault])
  /** The fault is the end of the story. */
  const isOver = !isWell
  if (phase === 'head') void proxy.arm(FAULTS[fault], 'up', 10)
  const sender = await sendTo(senderTool, proxy.port)
  let receiver: Program | undefined
  let confirming: Peer | undefined
  try {
    await play()
    if (receiver !== undefined) await expectExit(receiver, receiverTool, [expected.receiver])
    // curl looks at its connection again when it has something to say.
    if (expected.sender !== SILENCE) sender.stdin.end()
    await expectExit(sender, senderTool, [expected.sender])
  } finally {
    sender.kill('SIGKILL')
    receiver?.kill('SIGKILL')
    confirming?.destroy()
    await proxy.close()
  }

  async function play(): Promise<void> {
    if (phase === 'head' && isOver) return
    const [, id] = await sender.untilStdout(/"id":"([^"]+)"/)
    if (phase === 'waiting') await strike()
    if (phase === 'waiting' && EFFECTS[fault] === 'cut')
      await until('the link is over', () => isGone(port, id))
    // A program confirms by itself when it has everything; here that has to wait for the fault.
    if (phase === 'unconfirmed' || phase === 'verdict') {
      confirming = await connectHttp1(port)
      confirming.request({ method: 'GET', path: `/${id}` })
    } else receiver = await receiveFrom(receiverTool, port, id)
    if (phase === 'waiting' && isOver) return
    await sender.untilStdout(/"connected"/)
    if (phase === 'connected') await strike()
    if (phase === 'connected' && isOver) return
    sender.stdin.write(HALF)
    await untilReceived(HALF)
    if (phase === 'midway') await strike()
    if (phase === 'midway' && isOver) return
    sender.stdin.write(REST)
    await untilReceived(HALF + REST)
    if (phase === 'last') await strike()
    if (phase === 'last' && isOver) return
    sender.stdin.end()
    if (confirming === undefined) return
    await until('the receiver has all', () => confirming?.answer()?.isComplete)
    if (phase === 'unconfirmed') await strike()
    else {
      await sender.untilStdout(new RegExp(`"progress","bytes":${HALF.length + REST.length}\\b`))
      void proxy.arm(FAULTS[fault], 'down', 10)
    }
    confirming.close()
    await until('the server has closed the download', () => confirming?.ended())
    await until('the link is over', () => isGone(port, id))
  }

  function untilReceived(text: string): Promise<unknown> {
    const seen = () => confirming?.answer()?.body.toString() ?? receiver?.stdout() ?? ''
    return until(`the receiver has ${text.length} bytes`, () => seen() === text)
  }
}

async function playReceiversRow(
  row: Cell,
  [senderTool, receiverTool]: [Tool, Tool],
  port: number,
): Promise<void> {
  const { fault, phase } = row
  const expected = asksAgain(receiverTool, row) ? DELIVERED : expectationOf(row)
  const [own = '', next] = expected.receiver.split(NEXT)
  const proxy = await startTcpProxy(port)
  const strike = () => proxy.strike(FAULTS[fault])
  const isOver = EFFECTS[fault] !== 'harmless'
  const sender = await sendTo(senderTool, port)
  const receivers: Program[] = []
  try {
    const receiver = await play()
    // curl looks at its connection again when it has something to say, and its end is not to be the last byte.
    if (/^failed/.test(expected.sender)) await sender.untilStdout(/"failed"/)
    sender.stdin.end()
    await expectExit(sender, senderTool, [expected.sender], END_MS)
    // It has all of it by then, but may be told of the reset first.
    const isRefused = fault === 'RST' && phase === 'unconfirmed'
    // `ess` has no answer yet, and asks again: the link has had its receiver.
    const isAsked = phase === 'connected' && EFFECTS[fault] === 'cut'
    const others = isRefused ? [WHOLE, RESET] : isAsked && receiverTool === 'ess' ? [GONE] : []
    await expectExit(receiver, receiverTool, [next ?? own, ...others])
    if ((next ?? own) === WHOLE) expect(receiver.stdout()).toBe(HALF + REST)
  } finally {
    for (const program of [sender, ...receivers]) program.kill('SIGKILL')
    await proxy.close()
  }

  async function receive(from: number): Promise<Program> {
    const [, id] = await sender.untilStdout(/"id":"([^"]+)"/)
    const receiver = await receiveFrom(receiverTool, from, id)
    receivers.push(receiver)
    return receiver
  }

  async function play(): Promise<Program> {
    const struck = phase === 'head' ? proxy.arm(FAULTS[fault], 'up', 10, true) : undefined
    let receiver = await receive(proxy.port)
    if (struck !== undefined) await within(DEADLINE_MS, 'the fault strikes the head', struck)
    if (next !== undefined) {
      await expectExit(receiver, receiverTool, [own])
      receiver = await receive(port)
    }
    const untilReceived = (text: string) =>
      until(`the receiver has ${text.length} bytes`, () => receiver.stdout() === text)
    await sender.untilStdout(/"connected"/)
    if (phase === 'connected') await strike()
    if (phase === 'connected' && isOver) return receiver
    sender.stdin.write(HALF)
    await untilReceived(HALF)
    if (phase === 'midway') await strike()
    if (phase === 'midway' && isOver) return receiver
    sender.stdin.write(REST)
    await untilReceived(HALF + REST)
    if (phase === 'last') await strike()
    // The program confirms by itself, as soon as it has this.
    if (phase === 'unconfirmed') void proxy.arm(FAULTS[fault], 'down', endOfBody(receiverTool).length)
    return receiver
  }
}

/** What is left of a download of unknown length behind its last byte: `ess get` asks for the trailer. */
function endOfBody(tool: Tool): string {
  const trailer = tool === 'ess' ? `${LENGTH_TRAILER}: ${HALF.length + REST.length}\r\n` : ''
  return `0\r\n${trailer}\r\n`
}
