import { PROBLEMS, type ProblemCode } from '../../shared/index.js'
import { type Cell, EFFECTS, type Phase, versionOf, type Way } from './matrix.js'

/** How a cell ended, as each side saw it, in the words of the tables. */
export interface Observation {
  /** What the server's log says of the socket; `none` where no socket came of the request. */
  readonly outcome: string
  readonly sender: string
  readonly receiver: string
}

/** Its connection ended, and nothing that came on it looked like a success. */
export const CUT_OFF = 'cut off'
/** Its connection is open, and nothing came that looked like an end. */
export const SILENCE = 'silence'
export const WHOLE = 'whole'
/** A download that the server broke off, as protocol.md wants it. */
export const RESET = 'reset'
/** There was no link to receive from. */
export const NO_LINK = 'no link'

/** Between what a peer saw that was hurt too early, and what the one in its place did. */
export const NEXT = '; the next one: '

/** What a peer saw that came too early to be hurt by more than its own loss, and then the one in its place. */
export function thenNext(view: string, next: string): string {
  return `${view}${NEXT}${next}`
}

/** How the sender reads a verdict: in its status stream, or as the status of its answer. */
export function verdict(way: Way, outcome: ProblemCode): string {
  return way === 'early response' ? `failed: ${outcome}` : `${PROBLEMS[outcome].status} ${outcome}`
}

/** What a receiver sees of a failure: a problem before the head of its download is out, a reset after that. */
function download(phase: Phase, outcome: ProblemCode): string {
  return isBegun(phase) ? RESET : `${PROBLEMS[outcome].status} ${outcome}`
}

function isBegun(phase: Phase): boolean {
  return phase === 'midway' || phase === 'last'
}

export const DELIVERED: Observation = { outcome: 'delivered', sender: 'delivered', receiver: WHOLE }
/** All of it was sent, and the receiver has not said that it has it. */
export const UNCONFIRMED = 'delivered, unconfirmed'

/** How a cell has to end, by docs/protocol.md (chapters 3 and 4) and docs/lifecycle.md. */
export function expectationOf(cell: Cell): Observation {
  if (EFFECTS[cell.fault] === 'harmless') return DELIVERED
  return cell.leg === 'sender' ? onSendersLeg(cell) : onReceiversLeg(cell)
}

/** HTTP/2 has no half of a connection: it is over for both with the end of one. */
function isHalfClosed({ fault, version }: Cell): boolean {
  return fault === 'half-close' && version === 'HTTP/1.1'
}

function onSendersLeg(cell: Cell): Observation {
  const { fault, phase, way, version } = cell
  const unseen = fault === 'black hole' ? SILENCE : CUT_OFF
  switch (phase) {
    case 'head': {
      // Half a head is no request: no socket comes of it, and a reservation waits for another sender.
      const sender = isHalfClosed(cell) ? '400 bad-request' : unseen
      return way === 'early response'
        ? { outcome: 'none', sender, receiver: NO_LINK }
        : { ...DELIVERED, sender: thenNext(sender, DELIVERED.sender) }
    }
    case 'waiting':
    case 'connected':
    case 'midway':
    case 'last': {
      // Chapter 4: a peer that closes its own half before its time is taken to have left; it reads why.
      const outcome = fault === 'black hole' ? 'stalled' : 'sender-lost'
      const isOverBefore = phase === 'waiting' && fault !== 'black hole'
      return {
        outcome,
        sender: isHalfClosed(cell) ? verdict(way, outcome) : unseen,
        receiver: isOverBefore ? '410 gone' : download(phase, outcome),
      }
    }
    case 'unconfirmed':
    case 'verdict': {
      // A sender that leaves after its last byte is none of the receiver's loss.
      const outlivesHalf = version === 'HTTP/1.1'
      const isHeard = fault === 'half-close' && (phase === 'verdict' || outlivesHalf)
      return { ...DELIVERED, sender: isHeard ? 'delivered' : unseen }
    }
  }
}

function onReceiversLeg(cell: Cell): Observation {
  const { fault, phase, way, version } = cell
  const unseen = fault === 'black hole' ? SILENCE : CUT_OFF
  const lost: ProblemCode = fault === 'black hole' ? 'stalled' : 'receiver-lost'
  switch (phase) {
    case 'head':
      // It has asked for nothing yet: another receiver gets the file.
      return { ...DELIVERED, receiver: thenNext(isHalfClosed(cell) ? '400 bad-request' : unseen, WHOLE) }
    case 'waiting':
      // Chapter 7: it burns nothing when it leaves. One that is silent cannot be told from one that waits.
      return fault === 'black hole'
        ? { outcome: lost, sender: verdict(way, lost), receiver: unseen }
        : { ...DELIVERED, receiver: thenNext(unseen, WHOLE) }
    case 'connected':
    case 'midway':
      return { outcome: lost, sender: verdict(way, lost), receiver: unseen }
    case 'last':
      // The last byte fits into the kernels on the way: the server can't know where it went. In HTTP/2 the server asks
      // before it sends the last bytes, and this server is told to wait for less long than it would.
      return fault === 'black hole' && versionOf(version, 'receiver') === 'HTTP/1.1'
        ? { outcome: UNCONFIRMED, sender: UNCONFIRMED, receiver: unseen }
        : { outcome: lost, sender: verdict(way, lost), receiver: unseen }
    case 'unconfirmed':
      if (fault === 'black hole') return { outcome: UNCONFIRMED, sender: UNCONFIRMED, receiver: WHOLE }
      // Chapter 4: a reset is how a receiver says that the file is not safe.
      if (fault === 'RST') return { outcome: lost, sender: verdict(way, lost), receiver: WHOLE }
      return DELIVERED
    case 'verdict':
      throw new Error('This cell is left out')
  }
}
