import { IS_BALANCED } from '../helpers/other-node.js'
import { CUT_OFF, type Observation, RESET, UNCONFIRMED } from './expectations.js'
import { type Cell, versionOf } from './matrix.js'
import type { ResumableCell } from './resumable-matrix.js'

type AnyCell = Cell | ResumableCell

/** True where a receiver that has every byte says by a reset that the file isn't safe, and the server hears it. */
export function isHeardToLack(cell: AnyCell): boolean {
  const isSaid = cell.leg === 'receiver' && cell.phase === 'unconfirmed' && cell.fault === 'RST'
  return isSaid && !isHiddenHere(cell)
}

/** True where this run has a balancer that hides a reset as soon as the server's own end has come through. */
export function isHiddenHere(cell: AnyCell): boolean {
  return IS_BALANCED && isResetHidden(cell)
}

/**
 * By HTTP/1.1 the server's own end is behind the last byte. haproxy closes a connection that has ended in one direction
 * in good order, however its client left; none of its options changes that. Earlier it passes a client's reset on.
 */
function isResetHidden({ leg, phase, fault, version }: AnyCell): boolean {
  const isHttp1 = versionOf(version, 'receiver') === 'HTTP/1.1'
  return isHttp1 && leg === 'receiver' && phase === 'unconfirmed' && fault === 'RST'
}

/**
 * How a cell may end behind haproxy in front of several nodes, by how it has to end without them (`plain`): mostly in one
 * way. haproxy hides some losses, in these three ways and no other. What is said to be delivered is whole all the same,
 * and what isn't whole never looks like it.
 */
export function behindBalancer<C extends AnyCell, Seen extends Observation>(
  cell: C,
  plain: (cell: C) => Seen,
): Seen[] {
  const { leg, phase, fault, version } = cell
  const seen = plain(isResetHidden(cell) ? { ...cell, fault: 'FIN' } : cell)
  const receivers = versionOf(version, 'receiver')
  // haproxy makes an end in good order of our reset. The length or the missing last chunk still says that it is cut.
  const isUnreset = seen.receiver === RESET && receivers === 'HTTP/1.1'
  const expected = isUnreset ? { ...seen, receiver: CUT_OFF } : seen
  // The last bytes have left the sender's node before the receiver's node asks by HTTP/2 whether the others have arrived.
  // Which cells have their two sides at one node, the turns of the balancer say.
  const isPastNode =
    leg === 'receiver' && phase === 'last' && fault === 'black hole' && receivers === 'HTTP/2'
  const mayBeUnconfirmed = isPastNode && expected.outcome !== 'delivered'
  return mayBeUnconfirmed
    ? [expected, { ...expected, outcome: UNCONFIRMED, sender: UNCONFIRMED }]
    : [expected]
}
