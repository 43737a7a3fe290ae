import { beforeEach, expect, test } from 'vitest'
import { EXIT_STATUS, PROBLEMS, type ProblemCode } from '../../shared/index.js'
import { needs } from '../helpers/needs.js'
import { spawnSender, type Tool } from '../helpers/peers.js'
import type { Program } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { startServer } from '../helpers/start-server.js'
import { startTcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/within.js'
import { CUT_OFF, expectationOf, RESET, SILENCE, WHOLE } from './expectations.js'
import { connectHttp1 } from './http1-peer.js'
import { type Cell, cellsOf, EFFECTS, FAULTS, nameOf } from './matrix.js'
import type { Peer } from './peer.js'

beforeEach((context) => needs(context, 'curl'))

/** Programs take their time, on a busy machine of two cores. */
const AT_A_TIME = 4
const DEADLINE_MS = 170_000

const HALF = 'first half '.repeat(1000)
const REST = 'second half '.repeat(1000)

/**
 * A row for each fault at each phase: what `ess send` and curl are told, and exit with, when their own connection is
 * hurt; and what the other one exits with, that receives. The length is unknown, because a pipe can be held up.
 */
const ROWS = cellsOf('HTTP/1.1').filter(
  ({ leg, length, way }) => leg === 'sender' && length === 'unknown' && way === 'early response',
)

test('curl and ess exit with the truth, whatever happens to the connection of the one that sends', {
  timeout: DEADLINE_MS,
}, async () => {
  const server = await startServer('--stall-timeout', '3', '--heartbeat', '1')
  const rows = ROWS.entries()
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
})

async function playRow(row: Cell, [senderTool, receiverTool]: [Tool, Tool], port: number): Promise<void> {
  const { fault, phase } = row
  const expected = expectationOf(row, process.env['ESS_RELAY'])
  const proxy = await startTcpProxy(port)
  const strike = () => proxy.strike(FAULTS[fault])
  /** The fault is the end of the story. */
  const isOver = EFFECTS[fault] !== 'harmless'
  if (phase === 'head') void proxy.arm(FAULTS[fault], 'up', 10)
  const sender = await spawnSender(senderTool, { url: `http://127.0.0.1:${proxy.port}` }, 'held')
  let receiver: Program | undefined
  let confirming: Peer | undefined
  try {
    await play()
    if (receiver !== undefined) await expectExit(receiver, receiverTool, expected.receiver)
    // curl looks at its connection again when it has something to say.
    if (expected.sender !== SILENCE) sender.stdin.end()
    await expectExit(sender, senderTool, expected.sender)
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
    const url = `http://127.0.0.1:${port}/${id}`
    // A program confirms by itself when it has everything; here that has to wait for the fault.
    if (phase === 'unconfirmed' || phase === 'verdict') {
      confirming = await connectHttp1(port)
      confirming.request({ method: 'GET', path: `/${id}` })
    } else
      receiver = await (receiverTool === 'curl'
        ? runCurl(['-f', url])
        : runEss(undefined, ['get', url, '-o', '-']))
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

/** True when the socket has ended; a HEAD changes nothing about it. */
async function isGone(port: number, id: string | undefined): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/${id}`, { method: 'HEAD' })
  return response.status === 410
}

/** What a program that saw this has to exit with; a program that hears nothing is still there. */
async function expectExit(program: Program, tool: Tool, view: string): Promise<void> {
  if (view === SILENCE) {
    expect(() => process.kill(program.pid, 0), `${program.name} is still there`).not.toThrow()
    return
  }
  const { code, stderr } = await program.ended()
  expect(statusesOf(tool, view), `${program.name}: "${view}"; ${stderr}`).toContain(code)
}

/** curl: 18 a part of a file, 22 an HTTP error, 52 no answer, 55 and 56 a connection that takes, or gives, no more. */
function statusesOf(tool: Tool, view: string): number[] {
  const [, problem] = /^(?:failed:|\d{3}) ([a-z-]+)$/.exec(view) ?? []
  if (view === WHOLE || view === 'delivered') return [0]
  if (view === RESET || view === CUT_OFF)
    return tool === 'curl' ? [18, 52, 55, 56] : [EXIT_STATUS.broken, EXIT_STATUS.unavailable]
  if (problem === undefined) throw new Error(`Expected a view that ends a program, got "${view}"`)
  // The codes of the expectations are the server's own.
  if (tool === 'ess') return [PROBLEMS[problem as ProblemCode].exit]
  return view.startsWith('failed:') ? [18, 55] : [22]
}
