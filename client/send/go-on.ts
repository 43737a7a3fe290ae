import { EssError, type StatusEvent, type TerminalEvent } from '../../shared/index.js'
import { Patience } from '../http/patience.js'
import { askWhere } from './ask-where.js'
import type { KnownUpload } from './known-upload.js'
import type { ReadSource } from './read-so-far.js'
import { isReopeningRefused, mayReopen, reopen } from './reopen.js'
import { type Carriage, uploadTo } from './reserved-upload.js'
import type { SendOptions } from './send-options.js'
import type { UploadResource } from './upload-resource.js'
import { lost } from './verdict.js'

/**
 * The server begins to count when it notices that we are gone, which may take as long as it lets a transfer stall. So
 * we try for this much longer than it waits.
 */
const SLACK_MS = 60_000

/** What is known of an upload that broke off. */
export interface Broken {
  /** Its resource is kept up to date. */
  readonly upload: KnownUpload
  /** Why it broke off. */
  readonly reason: EssError
  /** How the rest is sent. */
  readonly by: Exclude<Carriage['by'], 'whole'>
}

/** After these, the same transfer can go on by another request. */
const GOES_ON: readonly string[] = [
  'connection-lost',
  'rewound',
  'mismatching-upload-offset',
  // At another node of the cluster.
  'moved',
  'node-away',
]
/** These may be over at the next try. */
const PASSING: readonly string[] = [
  ...GOES_ON,
  'server-unreachable',
  'proxy-failed',
  'already-open',
  'too-many-requests',
  // A request that was cut in its head, or a proxy that answers for a server that is away.
  'bad-request',
  'request-timeout',
  'not-ess',
]
/** A node says these to a sender that wants to open its link there. Another node, or a later try, may take it. */
const PASSING_AT_A_NODE: readonly string[] = [...PASSING, 'shutting-down', 'too-many-sockets', 'over-share']

const FORGOTTEN =
  'The connection broke, and the server no longer knows this transfer: it may have been restarted. Send the file again, unless its receiver has it already.'

/** True for the end of a request after which the same transfer can go on by another one. */
export function canGoOn(error: unknown): error is EssError {
  return error instanceof EssError && GOES_ON.includes(error.code)
}

/**
 * Sends the rest of a file after a cut, as often as it takes: asks the server where to go on, and sends from there. If
 * the upload's node has let it go, or died, the link is opened again at another one. Resolves with the verdict. Rejects
 * with an EssError that no other try can mend, or with the last one when the server's time is over.
 */
export async function goOn(
  { upload, reason, by }: Broken,
  source: ReadSource,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
): Promise<TerminalEvent> {
  const patience = new Patience(1000 * upload.resumeWithin + SLACK_MS, options.signal)
  // What the sender reads if it can't go on: the loss, and not what the last try met.
  const lossBy = (cause: unknown) => new EssError('connection-lost', lossWords, { cause })
  const lossWords = (reason.code === 'connection-lost' ? reason : lost()).message
  /** True while no node has it. */
  let isAway = false
  /** False where the node was gone before it could say so, or said it while we had no connection to it. */
  let isMoveTold = false
  /** True until a try that followed at once has failed too. */
  let isAtOnce = true
  if (reason.code === 'moved') letGo()
  else if (reason.code !== 'rewound') tellLoss()
  for (;;) {
    try {
      if (isAway) {
        upload.resource = await reopen(upload, source, options)
        isAway = false
        if (!isMoveTold) onEvent({ event: 'moved' })
        isMoveTold = false
      }
      const where = await askWhere(upload.resource, options)
      if ('verdict' in where) {
        onEvent(where.verdict)
        return where.verdict
      }
      if ('rewound' in where) upload.resource = where.rewound
      else return await sendRest(where.offset)
    } catch (error) {
      if (isAway && isReopeningRefused(error)) {
        // It was over before its node was away, and a node may know how.
        const verdict = await verdictAfter(error, upload.resource, options)
        if (verdict === undefined) throw lossBy(error)
        onEvent(verdict)
        return verdict
      }
      const passing = isAway ? PASSING_AT_A_NODE : PASSING
      if (!(error instanceof EssError) || !passing.includes(error.code))
        throw isForgotten(error) ? new EssError('connection-lost', FORGOTTEN, { cause: error }) : error
      // A rewind is no trouble: the receiver is waiting.
      if (error.code === 'rewound') continue
      if (error.code === 'moved' && !isAway) {
        // A node that is being restarted has nothing to do with the one before it.
        calm()
        letGo()
        continue
      }
      if (error.code === 'node-away' && !isAway && mayReopen(upload)) {
        isAway = true
        if (isAtOnce) {
          isAtOnce = false
          continue
        }
      }
      if (patience.isOver || (isAway && !mayReopen(upload))) throw lossBy(error)
      tellLoss()
      await patience.pause()
    }
  }

  async function sendRest(offset: number): Promise<TerminalEvent> {
    let isResumed = false
    const take = (event: StatusEvent) => {
      const wasConnected = upload.isConnected
      upload.see(event)
      // A cut in front of a proxy that gathers whole pieces is none for the server.
      if (!isResumed && event.event === 'progress') onEvent({ event: 'resumed', bytes: event.bytes })
      isResumed ||= event.event === 'resumed' || event.event === 'progress'
      // The first events repeat what the caller knows. A link that waits still waits, and that is news.
      // That we are missing was told when it happened, and after a rewind it only means that our bytes are to come.
      const isOwnLoss = event.event === 'interrupted' && event.side === 'sender'
      const isKnown = event.event === 'opened' || isOwnLoss || (event.event === 'connected' && wasConnected)
      if (!isKnown) onEvent(event)
      if (event.event === 'waiting' || event.event === 'progress') calm()
    }
    return await uploadTo(upload.resource, source, options, take, { by, offset })
  }

  function calm(): void {
    patience.calm()
    isAtOnce = true
  }

  /** The node has let the upload go, and said so. */
  function letGo(): void {
    isAway = mayReopen(upload)
    isMoveTold = true
    onEvent({ event: 'moved' })
  }

  /** The server can't tell us, and may even think that we are there. */
  function tellLoss(): void {
    const { bytes } = upload
    onEvent({ event: 'interrupted', side: 'sender', bytes, secondsLeft: patience.secondsLeft })
  }
}

/** How a transfer has ended that can't be opened again because it is over; undefined if no node can say that now. */
async function verdictAfter(
  refusal: unknown,
  resource: UploadResource,
  options: SendOptions,
): Promise<TerminalEvent | undefined> {
  if (!(refusal instanceof EssError) || refusal.code !== 'gone') return undefined
  try {
    const where = await askWhere(resource, options)
    return 'verdict' in where ? where.verdict : undefined
  } catch (error) {
    if (error instanceof EssError && error.code === 'interrupted') throw error
    return undefined
  }
}

/** True if the server knows no such upload any more. */
function isForgotten(error: unknown): boolean {
  return error instanceof EssError && error.code === 'not-found'
}
