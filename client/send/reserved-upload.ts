import {
  type DeliveredEvent,
  EssError,
  PROBLEM_MEDIA_TYPE,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  type TerminalEvent,
} from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { type Exchange, exchange } from '../http/exchange.js'
import { Line } from '../http/line.js'
import { connectionGivenUp } from '../http/silence.js'
import { bodyGate, lazyBody, restHeaders, uploadHeaders } from './lazy-body.js'
import { readVerdictOf, sendInPieces } from './pieces.js'
import type { SendOptions } from './send-options.js'
import { expectSoon, JSON_MEDIA_TYPE } from './short-answer.js'
import type { Source } from './source.js'
import type { UploadResource } from './upload-resource.js'
import { expectDelivered, expectStatusStream, readVerdict } from './verdict.js'
import { watchUpload } from './watch-upload.js'

/**
 * How long the server may report no sign of an upload that has begun. After that we send the body at once, because a
 * proxy may want it first.
 */
const ARRIVAL_MS = 5_000
/** How long the response to an upload may come after its verdict. */
const CONFIRMATION_MS = 5_000
/** How long the verdict may take on one connection, when the other one has broken. */
const VERDICT_MS = 500

/** How a file goes to its upload resource. */
export type Carriage =
  /** By PUT, in one request. */
  | { readonly by: 'whole' }
  /** By PATCH: from this offset on, in one request. */
  | { readonly by: 'rest'; readonly offset: number }
  /** The same in several, which passes every proxy. */
  | { readonly by: 'pieces'; readonly offset: number }

/** The requests of an upload under way. */
interface Upload {
  /** What the last answer says. */
  readonly verdict: Promise<TerminalEvent>
  /** Ends in good order. */
  close(): void
  /** Breaks off. */
  reset(): void
  /** The same, and says why. */
  fail(reason: EssError): void
}

/**
 * Sends a file to an upload resource, beginning at the `connected` event. Rejects with an EssError unless the events say
 * that it is delivered and the response doesn't contradict them.
 */
export async function uploadTo(
  resource: UploadResource,
  source: Source,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
  carriage: Carriage = { by: 'whole' },
): Promise<DeliveredEvent> {
  const gate = bodyGate()
  const follow = exchange('GET', resource.events, {
    headers: {
      accept: `${STATUS_MEDIA_TYPES.ndjson}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
      ...bearer(resource.events, options),
    },
    signal: options.signal,
  })
  let arrival: NodeJS.Timeout | undefined
  let upload: Upload | undefined
  let hasBegun = false
  const lose = (reason: EssError) => {
    upload?.fail(reason)
    follow.fail(reason)
  }
  const silence = watchUpload(() => resource, options, lose)
  try {
    await expectSoon(follow, resource.events, expectStatusStream(follow, resource.events))
    upload =
      carriage.by === 'pieces'
        ? inPieces(resource, source, options, { offset: carriage.offset, begin: gate.opened })
        : inOne(resource, source, options, { ...carriage, begin: gate.opened })
    arrival = setTimeout(gate.open, ARRIVAL_MS)
    let canGoOn = false
    const byEvents = readVerdict(follow, (event) => {
      silence.see(event)
      onEvent(event)
      if (event.event === 'opened') canGoOn = source.reach !== undefined && event.resumeWithin !== undefined
      hasBegun ||= event.event === 'resumed'
      // The events come by another connection than the bytes, which the server has given up.
      if (hasBegun && event.event === 'interrupted' && event.side !== 'receiver') lose(connectionGivenUp())
      const isResumed = event.event === 'resumed' || event.event === 'connected'
      if (isResumed || event.event === 'waiting') clearTimeout(arrival)
      // The receiver is missing, and the bytes would have to be sent once more.
      if (event.event === 'interrupted' && event.side === 'receiver') clearTimeout(arrival)
      if (isResumed) gate.open()
    })
    const { verdict } = upload
    const delivered = expectDelivered(await agreeOnVerdict(byEvents, verdict, () => canGoOn))
    await awaitConfirmation(verdict)
    upload.close()
    follow.close()
    return delivered
  } catch (error) {
    upload?.reset()
    follow.reset()
    throw error
  } finally {
    clearTimeout(arrival)
    silence.stop()
    gate.giveUp()
  }
}

function inOne(
  { upload: url }: UploadResource,
  source: Source,
  options: SendOptions,
  { begin, offset }: { readonly begin: Promise<void>; readonly offset?: number },
): Upload {
  const fields =
    offset === undefined
      ? uploadHeaders(source, options, JSON_MEDIA_TYPE)
      : restHeaders(source, offset, JSON_MEDIA_TYPE)
  const hooks = { begin, fail: (reason: EssError) => request.fail(reason) }
  const request: Exchange = exchange(offset === undefined ? 'PUT' : 'PATCH', url, {
    headers: { ...fields, ...bearer(url, options) },
    body: lazyBody(source, hooks, offset),
    signal: options.signal,
  })
  const verdict = request.head.then((head) => readVerdictOf(request, head, url))
  return { verdict, close: request.close, reset: request.reset, fail: request.fail }
}

function inPieces(
  resource: UploadResource,
  source: Source,
  options: SendOptions,
  from: { readonly offset: number; readonly begin: Promise<void> },
): Upload {
  const line = new Line(resource.upload, options.signal)
  const verdict = sendInPieces(line, resource, source, options, from)
  // The piece under way ends as after any cut.
  return { verdict, close: () => line.close(), reset: () => line.reset(), fail: () => line.reset() }
}

/**
 * The events give the verdict, and the response confirms it. If one of the two connections breaks, the other one
 * counts.
 */
async function agreeOnVerdict(
  byEvents: Promise<TerminalEvent>,
  byAnswer: Promise<TerminalEvent>,
  canGoOn: () => boolean,
): Promise<TerminalEvent> {
  const told = byEvents.catch((error: unknown) => instead(error, byAnswer, canGoOn()))
  // A refusal comes before any event. A good response waits for the events, which say more.
  const answered = byAnswer.then(
    () => told,
    (error: unknown) => instead(error, told, canGoOn()),
  )
  return await Promise.race([told, answered])
}

/** With `isShort`, the other connection has only a moment. */
async function instead(
  error: unknown,
  other: Promise<TerminalEvent>,
  isShort: boolean,
): Promise<TerminalEvent> {
  if (!isLost(error)) throw error
  return await (isShort ? soon(other, error) : other)
}

/**
 * What the other connection says in the next moment. After that, both the server and we would wait for each other: it is
 * better to go on by another request.
 */
async function soon(other: Promise<TerminalEvent>, error: unknown): Promise<TerminalEvent> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(error), VERDICT_MS)
  })
  return await Promise.race([other, late]).finally(() => clearTimeout(timer))
}

/** Throws if the response contradicts the verdict. A response that never comes doesn't matter. */
async function awaitConfirmation(byAnswer: Promise<TerminalEvent>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CONFIRMATION_MS)
  })
  try {
    await Promise.race([byAnswer, late])
  } catch (error) {
    if (!isLost(error)) throw error
  } finally {
    clearTimeout(timer)
  }
}

function isLost(error: unknown): boolean {
  return error instanceof EssError && error.code === 'connection-lost'
}
