import { expect } from 'vitest'
import { EXIT_STATUS, PROBLEMS, type ProblemCode } from '../../shared/index.js'
import { spawnSender, type Tool } from '../helpers/peers.js'
import type { Program } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { DEADLINE_MS } from '../helpers/within.js'
import { CUT_OFF, RESET, SILENCE, UNCONFIRMED, WHOLE } from './expectations.js'

/** What a program sends that is held up by its stdin, so its length is not known. */
export const HALF = 'first half '.repeat(1000)
export const REST = 'second half '.repeat(1000)

/** A sender that sends what is written to its stdin. */
export function sendTo(tool: Tool, port: number): Promise<Program> {
  return spawnSender(tool, { url: `http://127.0.0.1:${port}` }, 'held')
}

/** A receiver that writes to its stdout. */
export function receiveFrom(tool: Tool, port: number, id: string | undefined): Promise<Program> {
  const url = `http://127.0.0.1:${port}/${id}`
  return tool === 'curl' ? runCurl(['-f', url]) : runEss(undefined, ['get', url, '-o', '-'])
}

/** True when the socket has ended; a HEAD changes nothing about it. */
export async function isGone(port: number, id: string | undefined): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/${id}`, { method: 'HEAD' })
  return response.status === 410
}

/** What a program that saw this, or that, has to exit with; one that hears nothing is still there. */
export async function expectExit(
  program: Program,
  tool: Tool,
  views: readonly string[],
  ms = DEADLINE_MS,
): Promise<void> {
  if (views.includes(SILENCE)) {
    expect(() => process.kill(program.pid, 0), `${program.name} is still there`).not.toThrow()
    return
  }
  const { code, stderr } = await program.ended(ms)
  const statuses = views.flatMap((view) => statusesOf(tool, view))
  expect(statuses, `${program.name}: "${views.join('" or "')}"; ${stderr}`).toContain(code)
}

/** curl: 18 a part of a file, 22 an HTTP error, 52 no answer, 55 and 56 a connection that takes, or gives, no more. */
function statusesOf(tool: Tool, view: string): number[] {
  const [, problem] = /^(?:failed:|\d{3}) ([a-z-]+)$/.exec(view) ?? []
  if (view === WHOLE || view === 'delivered') return [0]
  if (view === UNCONFIRMED) return [tool === 'curl' ? 0 : EXIT_STATUS.unverified]
  if (view === RESET || view === CUT_OFF)
    return tool === 'curl' ? [18, 52, 55, 56] : [EXIT_STATUS.broken, EXIT_STATUS.unavailable]
  if (problem === undefined) throw new Error(`Expected a view that ends a program, got "${view}"`)
  // Of a head that was cut off the server does not know what its client accepts, and answers in text.
  if (tool === 'ess' && view === '400 bad-request') return [EXIT_STATUS.refused, EXIT_STATUS.unavailable]
  // The codes of the expectations are the server's own.
  if (tool === 'ess') return [PROBLEMS[problem as ProblemCode].exit]
  return view.startsWith('failed:') ? [18, 55] : [22]
}
