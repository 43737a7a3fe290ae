import { EssError, type TerminalEvent } from '../../shared/index.js'
import { mayReopen } from '../../shared/reopening.js'
import type { Patience } from '../http/patience.js'
import type { KnownUpload } from './known-upload.js'
import { isReopeningRefused, type Opened, reopen } from './reopen.js'
import { askWhere } from './resource.js'

/** After these, the same transfer can go on by another request. */
const PASSING: readonly string[] = [
  'connection-lost',
  'server-unreachable',
  'rewound',
  'mismatching-upload-offset',
  'already-open',
  'too-many-requests',
  'node-away',
  // A request that was cut in its head, or a proxy that answers for a server that is away.
  'bad-request',
  'request-timeout',
  'not-ess',
]
/** A node says these to a sender that wants to open its link there. Another node, or a later try, may take it. */
const PASSING_AT_A_NODE: readonly string[] = [...PASSING, 'shutting-down', 'too-many-sockets', 'over-share']
/** A node says these of an upload that it has not, or not any more. */
const LEFT: readonly string[] = ['moved', 'node-away', 'shutting-down', 'not-found']

/** True for the end of a request after which the same upload can go on by another one. */
export function canGoOn(error: unknown, known: KnownUpload): error is EssError {
  return error instanceof EssError && (PASSING.includes(error.code) || isLeft(error, known))
}

/** True if the upload's node has let it go, or died, and another one may open its link again. */
function isLeft({ code }: EssError, known: KnownUpload): boolean {
  return LEFT.includes(code) && mayReopen(known)
}

/** An upload whose request broke off. */
export interface Broken {
  readonly known: KnownUpload
  readonly opened: Opened
  readonly reason: EssError
  /** The byte that comes next, as far as the page knows. */
  readonly offset: number
  readonly patience: Patience
  /** Called after each try that failed, before the next one. */
  readonly onFailed: () => void
}

/**
 * Asks where an upload goes on, until the server says so. If its node has let it go, or died, the link is opened again at
 * another one first. Resolves with the next byte, or with the verdict if it is over. Throws EssError: `connection-lost` if
 * that can't be found out, or what no other try can mend.
 */
export async function findPlace(
  { known, opened, reason, offset, patience, onFailed }: Broken,
  signal: AbortSignal,
): Promise<number | TerminalEvent> {
  /** True while no node has it. */
  let isAway = isLeft(reason, known)
  // The server has said what to do, and can take it at once. If that fails at another node, there is no hurry any more.
  let isAtOnce = isAway || reason.code === 'rewound'
  let mayHurry = !isAway
  for (;;) {
    try {
      // The first pause is short. After that, each failure makes it longer, until bytes move.
      if (!isAtOnce) await patience.pause(signal)
      isAtOnce = false
      if (isAway) known.resource = await reopen(opened, known, offset, signal)
      isAway = false
      const where = await askWhere(opened.facts, known.resource, signal)
      known.hear()
      if ('verdict' in where) return where.verdict
      patience.extend()
      if ('offset' in where) return where.offset
      known.resource = where.rewound
      known.isConnected = true
      isAtOnce = true
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      if (isAway && isReopeningRefused(error)) throw lost(error)
      const passing = isAway ? PASSING_AT_A_NODE.includes(error.code) : canGoOn(error, known)
      // There is nothing left that tells how it ended.
      if (!passing) throw error.code === 'gone' ? lost(error) : error
      if (!isAway && isLeft(error, known)) {
        isAway = true
        isAtOnce = mayHurry
        mayHurry = false
        if (isAtOnce) continue
      }
      if (patience.isOver || (isAway && !mayReopen(known))) throw lost(error)
      onFailed()
    }
  }
}

function lost(cause: EssError): EssError {
  return new EssError('connection-lost', undefined, { cause })
}
