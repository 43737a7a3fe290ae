import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import { NO_CLIENT_LIMITS, startServer, type TestServer } from '../helpers/start-server.js'
import { needsProc } from '../helpers/unread.js'
import { until } from '../helpers/within.js'
import { expectationOf, type Observation } from './expectations.js'
import { faultsPage } from './faults-page.js'
import { connectHttp1 } from './http1-peer.js'
import { connectHttp2 } from './http2-peer.js'
import { type Cell, cellsOf, isLong, nameOf, PAIRINGS, SERVERS } from './matrix.js'
import { type Arena, play } from './play.js'
import { ServerLog } from './server-log.js'

/** Cells under way at once, beside those that take half a minute. */
const AT_A_TIME = 16
/** All of them, on a busy machine of two cores. */
const DEADLINE_MS = 170_000

/**
 * Where the run is about one gear, the cells that take half a minute are left to the other run, and so are HTTP/2, which
 * knows one gear only, and the page.
 */
const GEAR = process.env['ESS_RELAY']
const PLAYED = GEAR === undefined ? SERVERS : SERVERS.slice(0, 1)

/** By the names of the cells. */
const observed = new Map<string, Observation>()

test.for(PLAYED)(
  '$title: however a connection is hurt, both sides are told the truth, once, and nothing is left',
  { timeout: DEADLINE_MS },
  async ({ isTls, pairings }, context) => {
    needsProc(context)
    if (isTls) needs(context, 'openssl')
    const server = await startServer(...FLAGS, ...NO_CLIENT_LIMITS, ...(isTls ? await tlsFlags() : []))
    const arena: Arena = {
      server,
      log: new ServerLog(server),
      connect: (port, version) => (version === 'HTTP/2' ? connectHttp2(port) : connectHttp1(port, isTls)),
    }
    const before = await openFiles(server)
    const failures = await playAll(
      pairings.flatMap(cellsOf).filter((cell) => GEAR === undefined || !isLong(cell)),
      arena,
    )
    expect(failures.join('\n')).toBe('')

    const ends = arena.log.ends().map(({ socket }) => socket)
    expect([...ends].sort(), 'each socket has one end').toEqual([...arena.log.begun()].sort())
    await until('the server has no more descriptors than at its start', async () => {
      return (await openFiles(server)) <= before
    })
  },
)

test.for(PAIRINGS)('%s: no case may say "delivered" to a sender whose receiver has less', (version) => {
  const lies = cellsOf(version).filter((cell) => {
    const { sender, receiver } = expectationOf(cell)
    return /delivered$/.test(sender) && !/whole$/.test(receiver)
  })
  expect(lies.map(nameOf)).toEqual([])
})

test.runIf(GEAR === undefined)(
  'docs/faults.md says what was seen; `npx vitest run test/faults -u` writes it',
  async (context) => {
    needsProc(context)
    needs(context, 'openssl')
    await expect(faultsPage(observed)).toMatchFileSnapshot('../../docs/faults.md')
  },
)

/** Short enough for silence to end soon; long enough for a busy machine. */
const FLAGS = ['--reservations', ...['--log', 'json'], ...['--stall-timeout', '5'], ...['--heartbeat', '1']]

async function tlsFlags(): Promise<string[]> {
  const { path, keyPath } = await certificate()
  return ['--tls-cert', path, '--tls-key', keyPath]
}

/** Gives what was not as it has to be. Those that take longest begin first; all they do is wait, beside the others. */
async function playAll(cells: readonly Cell[], arena: Arena): Promise<string[]> {
  const long = cells.filter(isLong)
  const queue = [...long, ...cells.filter((cell) => !isLong(cell))].entries()
  const failures: string[] = []
  const worker = async () => {
    for (const [index, cell] of queue) {
      const expected = expectationOf(cell)
      try {
        const seen = await play(cell, arena, index)
        observed.set(nameOf(cell), seen)
        expect(seen, nameOf(cell)).toEqual(expected)
      } catch (error) {
        const seen = observed.get(nameOf(cell)) ?? String(error)
        failures.push(`${nameOf(cell)}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(seen)}`)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME + long.length }, worker))
  return failures
}

async function openFiles({ pid }: TestServer): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}
