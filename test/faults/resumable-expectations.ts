import { PROBLEMS, type ProblemCode } from '../../shared/index.js'
import {
  CUT_OFF,
  expectationOf,
  type Observation,
  RESET,
  SILENCE,
  UNCONFIRMED,
  verdict,
  WHOLE,
} from './expectations.js'
import { EFFECTS, versionOf, type Way } from './matrix.js'
import type { ResumableCell } from './resumable-matrix.js'

/** How a cell ended. The views are those of the last request of each side. */
export interface ResumableObservation extends Observation {
  /** True if a side was lost, came back, and went on. */
  readonly wentOn: boolean
}

/** What a sender was told by its upload resource, because its own response was lost, or there was none. */
export function asked(answer: string): string {
  return `asks: ${answer}`
}

/**
 * True for a sender that has sent everything, was cut off, and is back before the receiver has confirmed; else it comes
 * when all is over. The lengths take turns. A receiver over HTTP/2 is asked for its confirmation after a second, which
 * on a busy machine may be too soon.
 */
export function comesBackBeforeTheEnd({ version, length }: ResumableCell): boolean {
  return length === 'known' && versionOf(version, 'receiver') === 'HTTP/1.1'
}

const DELIVERED: ResumableObservation = {
  outcome: 'delivered',
  sender: 'delivered',
  receiver: WHOLE,
  wentOn: false,
}
const WENT_ON: ResumableObservation = { ...DELIVERED, wentOn: true }

/** A sender in pieces is answered as one with a reservation. */
function plainWay(way: ResumableCell['way']): Way {
  return way === 'pieces' ? 'reservation' : way
}

/** How a cell has to end: it goes on, or else it ends as one that can't go on would. */
export function resumableExpectationOf(cell: ResumableCell): ResumableObservation {
  if (EFFECTS[cell.fault] === 'harmless') return DELIVERED
  return cell.comesBack ? afterReturn(cell) : afterItsTime(cell)
}

function afterReturn(cell: ResumableCell): ResumableObservation {
  const { fault, phase, leg, version } = cell
  if (phase === 'head' || (leg === 'receiver' && phase === 'waiting' && fault !== 'black hole')) {
    return asToday(cell, phase)
  }
  const isHalfHeard = fault === 'half-close' && versionOf(version, leg) === 'HTTP/1.1'
  if (phase === 'verdict') return isHalfHeard ? DELIVERED : { ...DELIVERED, sender: asked('delivered') }
  if (phase !== 'unconfirmed') return WENT_ON
  if (leg === 'sender') {
    if (isHalfHeard) return DELIVERED
    return comesBackBeforeTheEnd(cell) ? WENT_ON : { ...DELIVERED, sender: asked('delivered') }
  }
  return fault === 'RST' ? WENT_ON : asToday(cell, phase)
}

function afterItsTime(cell: ResumableCell): ResumableObservation {
  const { fault, phase, leg, way } = cell
  const unseen = fault === 'black hole' ? SILENCE : CUT_OFF
  const lost = (
    outcome: Extract<ProblemCode, 'sender-lost' | 'receiver-lost'>,
    sender: string,
    receiver: string,
  ) => ({ outcome, sender, receiver, wentOn: false })
  if (leg === 'sender') {
    if (phase === 'unconfirmed' || phase === 'verdict') return asToday(cell, phase)
    // The silent one is noticed when a receiver is there.
    const early = phase === 'waiting' && fault !== 'black hole' ? '410 gone' : problem('sender-lost')
    const isBegun = phase === 'midway' || phase === 'last'
    return lost('sender-lost', unseen, isBegun ? RESET : early)
  }
  if (phase === 'unconfirmed') {
    return fault === 'RST'
      ? lost('receiver-lost', verdict(plainWay(way), 'receiver-lost'), WHOLE)
      : asToday(cell, phase)
  }
  if (phase === 'last' && fault === 'black hole' && versionOf(cell.version, 'receiver') === 'HTTP/1.1') {
    return { outcome: UNCONFIRMED, sender: UNCONFIRMED, receiver: unseen, wentOn: false }
  }
  return lost('receiver-lost', verdict(plainWay(way), 'receiver-lost'), unseen)
}

function problem(code: ProblemCode): string {
  return `${PROBLEMS[code].status} ${code}`
}

/** What happens to a transfer that can't go on happens to one that can. */
function asToday(
  cell: ResumableCell,
  phase: Exclude<ResumableCell['phase'], 'between'>,
): ResumableObservation {
  return { ...expectationOf({ ...cell, phase, way: plainWay(cell.way) }), wentOn: false }
}
