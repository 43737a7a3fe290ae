import { EssError, type StatusEvent, type TerminalEvent } from '../../shared/index.js'
import { Patience } from '../http/patience.js'
import { askWhere } from './ask-where.js'
import { type Carriage, uploadTo } from './reserved-upload.js'
import type { SendOptions } from './send-options.js'
import type { Source } from './source.js'
import type { UploadResource } from './upload-resource.js'
import { lost } from './verdict.js'

/**
 * The server begins to count when it notices that we are gone, which may take as long as it lets a transfer stall. So
 * we try for this much longer than it waits.
 */
const SLACK_MS = 60_000

/** What is known of an upload that broke off. */
export interface Broken {
  readonly resource: UploadResource
  /** Seconds that the server waits for us. */
  readonly resumeWithin: number
  /** Bytes that had reached the receiver's connection. */
  readonly bytes: number
  /** True if its receiver had come. */
  readonly isConnected: boolean
  /** Why it broke off. */
  readonly reason: EssError
  /** How the rest is sent. */
  readonly by: Exclude<Carriage['by'], 'whole'>
}

/** After these, the same transfer can go on by another request. */
const GOES_ON: readonly string[] = ['connection-lost', 'rewound', 'mismatching-upload-offset']
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

/** True for the end of a request after which the same transfer can go on by another one. */
export function canGoOn(error: unknown): error is EssError {
  return error instanceof EssError && GOES_ON.includes(error.code)
}

/**
 * Sends the rest of a file after a cut, as often as it takes: asks the server where to go on, and sends from there.
 * Resolves with the verdict. Rejects with an EssError that no other try can mend, or with the last one when the server's
 * time is over.
 */
export async function goOn(
  broken: Broken,
  source: Source,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
): Promise<TerminalEvent> {
  const patience = new Patience(1000 * broken.resumeWithin + SLACK_MS, options.signal)
  let { resource, bytes, isConnected } = broken
  // What the sender reads if it can't go on: the loss, and not what the last try met.
  const loss = broken.reason.code === 'connection-lost' ? broken.reason : lost()
  if (broken.reason.code !== 'rewound') tellLoss()
  for (;;) {
    try {
      const where = await askWhere(resource, options)
      if ('verdict' in where) {
        onEvent(where.verdict)
        return where.verdict
      }
      if ('moved' in where) resource = where.moved
      else return await sendRest(where.offset)
    } catch (error) {
      if (!(error instanceof EssError) || !PASSING.includes(error.code))
        throw isForgotten(error) ? loss : error
      // A rewind is no trouble: the receiver is waiting.
      if (error.code === 'rewound') continue
      if (patience.isOver) throw loss
      tellLoss()
      await patience.pause()
    }
  }

  async function sendRest(offset: number): Promise<TerminalEvent> {
    let isResumed = false
    const take = (event: StatusEvent) => {
      // A cut in front of a proxy that gathers whole pieces is none for the server.
      if (!isResumed && event.event === 'progress') onEvent({ event: 'resumed', bytes: event.bytes })
      isResumed ||= event.event === 'resumed' || event.event === 'progress'
      // The first events repeat what the caller knows. A link that waits still waits, and that is news.
      // That we are missing was told when it happened, and after a rewind it only means that our bytes are to come.
      const isOwnLoss = event.event === 'interrupted' && event.side === 'sender'
      const isKnown = event.event === 'opened' || isOwnLoss || (event.event === 'connected' && isConnected)
      isConnected ||= event.event === 'connected'
      if (!isKnown) onEvent(event)
      if (event.event === 'waiting') patience.calm()
      if (event.event !== 'progress') return
      patience.calm()
      ;({ bytes } = event)
    }
    return await uploadTo(resource, source, options, take, { by: broken.by, offset })
  }

  /** The server can't tell us, and may even think that we are there. */
  function tellLoss(): void {
    onEvent({ event: 'interrupted', side: 'sender', bytes, secondsLeft: patience.secondsLeft })
  }
}

/** True if the server knows no such upload any more. What broke it off says more than that. */
function isForgotten(error: unknown): boolean {
  return error instanceof EssError && error.code === 'not-found'
}
