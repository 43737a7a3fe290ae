import { expect, test } from 'vitest'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import { IS_BALANCED } from '../helpers/other-node.js'
import { needsRedis } from '../helpers/redis.js'
import { NO_CLIENT_LIMITS, startServerIn } from '../helpers/start-server.js'
import { needsProc } from '../helpers/unread.js'
import { behindBalancer } from './behind-balancer.js'
import { expectationOf, type Observation } from './expectations.js'
import { faultsPage } from './faults-page.js'
import { connectHttp1 } from './http1-peer.js'
import { connectHttp2 } from './http2-peer.js'
import { CAN_BE_ASKED, expectNothingLeft, type LeftOver, leftOverIn } from './left-over.js'
import { type Cell, cellsOf, EFFECTS, isLong, nameOf, PAIRINGS, type Pairing, SERVERS } from './matrix.js'
import { type Arena, MissedItsMoment, play } from './play.js'
import { playResumable } from './play-resumable.js'
import { type ResumableObservation, resumableExpectationOf } from './resumable-expectations.js'
import { isLongResumable, nameOfResumable, type ResumableCell, resumableCellsOf } from './resumable-matrix.js'
import { ServerLog } from './server-log.js'

/** Cells under way at once, beside those that take half a minute: those that wait for seconds, and the others. */
const AT_A_TIME = { slow: 24, quick: 12 }
/** TLS keeps the machine busy, and one that is too busy is late for its own times. */
const AT_A_TIME_BY_TLS = { slow: 12, quick: 8 }
/** So do several nodes, which must find each other's links in time. */
const AT_A_TIME_BALANCED = { slow: 12, quick: 6 }
/** A thousand cells, by a machine that may be busy. Each wait in a cell has a deadline of its own; this ends what hangs. */
const DEADLINE_MS = IS_BALANCED ? 480_000 : 300_000

/**
 * Where the run is about one gear, the cells that take half a minute are left to the other run, and so are HTTP/2, which
 * knows one gear only, and the page.
 */
const GEAR = process.env['ESS_RELAY']
const PLAYED = GEAR === undefined ? SERVERS : SERVERS.slice(0, 1)

/**
 * A run that has little time plays every eighth cell, say, by `ESS_FAULTS_EVERY=8`: by few servers, so without the cells in
 * which a side stays away.
 */
const EVERY = Number(process.env['ESS_FAULTS_EVERY'] ?? 1)
const IS_PART = EVERY > 1

/**
 * The servers of the transfers that can go on, by how long they wait. Two are told to wait for a moment only, for a side
 * that stays away; the next piece has to come within that time, too, from a machine that is busy.
 */
const RESUMING = [
  { resumeWithin: '60', is: ({ comesBack }: ResumableCell) => comesBack },
  { resumeWithin: '0.2', is: (cell: ResumableCell) => !cell.comesBack && !hasNextPiece(cell) },
  { resumeWithin: '10', is: (cell: ResumableCell) => !cell.comesBack && hasNextPiece(cell) },
].slice(0, IS_PART ? 1 : 3)

/** False where the first piece never ends: then the head of the download must still be held when the time is over. */
function hasNextPiece({ way, leg, phase }: ResumableCell): boolean {
  return way === 'pieces' && !(leg === 'sender' && (phase === 'waiting' || phase === 'connected'))
}

/**
 * Only for a peer that is silent does a server wait for a short time. For all others it has its own minute: single bytes of
 * a busy test may take longer than five seconds until they are a record of TLS, and nothing is wrong with that.
 */
const STALLS = IS_PART
  ? [{ stallTimeout: '5', is: () => true }]
  : [
      { stallTimeout: '5', is: (act: Act) => act.isAboutSilence },
      { stallTimeout: '60', is: (act: Act) => !act.isAboutSilence },
    ]

/** How often a cell is played until its moment isn't missed. */
const MOST_TRIES = 20

/** Of how many servers every cell was as it has to be. With one that was not, the page has nothing to say. */
let asExpected = 0

/** By the names of the cells. */
const observed = new Map<string, Observation | ResumableObservation>()

test.for(PLAYED)(
  '$title: however a connection is hurt, both sides are told the truth, once, and nothing is left',
  { timeout: DEADLINE_MS },
  async ({ isTls, pairings }, context) => {
    needsProc(context)
    if (isTls) needs(context, 'openssl')
    if (IS_BALANCED) {
      needs(context, 'haproxy')
      needsRedis(context)
    }
    const flags = [...FLAGS, ...NO_CLIENT_LIMITS, ...(isTls ? await tlsFlags() : [])]
    const played = [
      { resumeWithin: '0', acts: pairings.flatMap(playedOf).map(plain) },
      ...RESUMING.map(({ resumeWithin, is }) => ({
        resumeWithin,
        acts: pairings.flatMap(resumablePlayedOf).filter(is).map(resumable),
      })),
    ]
    const troupes: Troupe[] = []
    for (const { resumeWithin, acts } of played) {
      for (const { stallTimeout, is } of STALLS) {
        const waits = ['--resume-within', resumeWithin, '--stall-timeout', stallTimeout]
        // One after the other: that many starts at once would take longer than a start may.
        troupes.push(await troupeOf([...flags, ...waits], isTls, acts.filter(is)))
      }
    }
    const atATime = IS_BALANCED ? AT_A_TIME_BALANCED : isTls ? AT_A_TIME_BY_TLS : AT_A_TIME
    const failures = await playAll(troupes, atATime)
    // Each whole, where a comparison would show the first words of the first one.
    if (failures.length > 0) expect.fail(`${failures.length} not as they have to be:\n${failures.join('\n')}`)
    asExpected++
    for (const { arena, before } of troupes) {
      const ends = arena.log.ends().map(({ socket }) => socket)
      expect([...ends].sort(), 'each socket has one end').toEqual([...arena.log.begun()].sort())
      await expectNothingLeft(arena.server, before)
    }
  },
)

test.for(PAIRINGS)('%s: no case may say "delivered" to a sender whose receiver has less', (version) => {
  const lies = cellsOf(version).filter((cell) => isLie(cell, expectationOf))
  expect(lies.map(nameOf)).toEqual([])
})

test.for(PAIRINGS)('%s: the same where the sender can go on', (version) => {
  const lies = resumableCellsOf(version).filter((cell) => isLie(cell, resumableExpectationOf))
  expect(lies.map(nameOfResumable)).toEqual([])
})

/** A balancer may hide a loss, and never makes one of what is delivered without it. */
function isLie<C extends Cell | ResumableCell>(cell: C, expectation: (cell: C) => Observation): boolean {
  const alone = expectation(cell)
  const balanced = behindBalancer(cell, expectation)
  const isShort = ({ sender, receiver }: Observation) => /delivered$/.test(sender) && !/whole$/.test(receiver)
  return (
    [alone, ...balanced].some(isShort) ||
    (alone.outcome === 'delivered' && balanced.some(({ outcome }) => outcome !== 'delivered'))
  )
}

test.runIf(IS_PART)('every fault and every phase is among the cells that are played', () => {
  const kindsOf = (cells: readonly Cell[]) =>
    [
      ...new Set(cells.flatMap(({ fault, phase, leg }) => [`${fault} of the ${leg}`, `${leg} ${phase}`])),
    ].sort()
  expect(kindsOf(playedOf('HTTP/1.1'))).toEqual(kindsOf(cellsOf('HTTP/1.1')))
})

test.runIf(GEAR === undefined && !IS_BALANCED)(
  'docs/faults.md says what was seen; `npx vitest run test/faults -u` writes it',
  async (context) => {
    needsProc(context)
    needs(context, 'openssl')
    if (asExpected < PLAYED.length) context.skip('the cells above were not as they have to be')
    await expect(faultsPage(observed)).toMatchFileSnapshot('../../docs/faults.md')
  },
)

const FLAGS = ['--reservations', ...['--log', 'json'], ...['--heartbeat', '1']]

async function tlsFlags(): Promise<string[]> {
  const { path, keyPath } = await certificate()
  return ['--tls-cert', path, '--tls-key', keyPath]
}

function playedOf(version: Pairing): Cell[] {
  return cellsOf(version).filter((_, index) => index % EVERY === 0)
}

function resumablePlayedOf(version: Pairing): ResumableCell[] {
  return resumableCellsOf(version).filter((_, index) => index % EVERY === 0)
}

function endingsOf(cell: Cell): readonly Observation[] {
  return IS_BALANCED ? behindBalancer(cell, expectationOf) : [expectationOf(cell)]
}

function resumableEndingsOf(cell: ResumableCell): readonly ResumableObservation[] {
  return IS_BALANCED ? behindBalancer(cell, resumableExpectationOf) : [resumableExpectationOf(cell)]
}

/** One cell, to be played in the arena of its troupe. */
interface Act {
  readonly name: string
  readonly isLong: boolean
  /** The peer whose connection is hurt says nothing more, and nothing tells of it. */
  readonly isAboutSilence: boolean
  /** A silence has to be noticed, or a time to run out. */
  readonly isSlow: boolean
  /** Any of these. Without a balancer it is one. */
  readonly expected: readonly (Observation | ResumableObservation)[]
  readonly play: (arena: Arena, index: number) => Promise<Observation | ResumableObservation>
}

const plain = (cell: Cell): Act => ({
  name: nameOf(cell),
  isLong: isLong(cell),
  isAboutSilence: EFFECTS[cell.fault] === 'swallowed',
  isSlow: EFFECTS[cell.fault] === 'swallowed',
  expected: endingsOf(cell),
  play: (arena, index) => play(cell, arena, index),
})

const resumable = (cell: ResumableCell): Act => ({
  name: nameOfResumable(cell),
  isLong: isLongResumable(cell),
  isAboutSilence: EFFECTS[cell.fault] === 'swallowed',
  isSlow: EFFECTS[cell.fault] === 'swallowed' || (!cell.comesBack && hasNextPiece(cell)),
  expected: resumableEndingsOf(cell),
  play: (arena, index) => playResumable(cell, arena, index),
})

/** The cells of one server, and what it holds before the first one. */
interface Troupe {
  readonly arena: Arena
  readonly acts: readonly Act[]
  readonly before: LeftOver
}

async function troupeOf(flags: readonly string[], isTls: boolean, acts: readonly Act[]): Promise<Troupe> {
  const server = await startServerIn(CAN_BE_ASKED, ...flags)
  return {
    arena: {
      server,
      log: new ServerLog(server),
      connect: (port, version) => (version === 'HTTP/2' ? connectHttp2(port) : connectHttp1(port, isTls)),
    },
    acts: acts.filter((act) => GEAR === undefined || !act.isLong),
    before: await leftOverIn(server),
  }
}

/** A cell whose fault came when its moment was over has shown nothing: it is played again. */
async function inItsMoment<T>(play: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await play()
    } catch (error) {
      if (!(error instanceof MissedItsMoment) || tries === MOST_TRIES) throw error
    }
  }
}

/** Gives what was not as it has to be. */
async function playAll(troupes: readonly Troupe[], atATime: typeof AT_A_TIME): Promise<string[]> {
  const acts = troupes
    .flatMap(({ arena, acts: all }) => all.map((act) => ({ arena, act })))
    .map((one, index) => ({ ...one, index }))
  const failures: string[] = []
  const work = async (queue: Iterable<(typeof acts)[number]>) => {
    for (const { arena, act, index } of queue) {
      try {
        const seen = await inItsMoment(() => act.play(arena, index))
        observed.set(act.name, seen)
        expect(act.expected, act.name).toContainEqual(seen)
      } catch (error) {
        const seen = observed.get(act.name) ?? String(error)
        const expected = act.expected.map((one) => JSON.stringify(one)).join(' or ')
        failures.push(`${act.name}: expected ${expected}, got ${JSON.stringify(seen)}`)
      }
    }
  }
  // Those that take longest begin first. All they do is wait, beside the others.
  const long = acts.filter(({ act }) => act.isLong)
  const slow = [...long, ...acts.filter(({ act }) => act.isSlow && !act.isLong)]
  const quick = acts.filter(({ act }) => !act.isSlow && !act.isLong)
  const workers = (queue: typeof slow, count: number) => {
    const entries = queue.values()
    return Array.from({ length: count }, () => work(entries))
  }
  await Promise.all([...workers(slow, atATime.slow + long.length), ...workers(quick, atATime.quick)])
  return failures
}
