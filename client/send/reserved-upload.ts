import {
  type DeliveredEvent,
  EssError,
  isTerminal,
  PROBLEM_MEDIA_TYPE,
  STATUS_MEDIA_TYPES,
  StatusDecoder,
  type StatusEvent,
  type TerminalEvent,
} from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { type Exchange, exchange } from '../http/exchange.js'
import { notEss, readRefusal } from '../http/refusal.js'
import { bodyGate, lazyBody, restHeaders, uploadHeaders } from './lazy-body.js'
import type { SendOptions } from './send-options.js'
import { expectSoon, JSON_MEDIA_TYPE, readText } from './short-answer.js'
import type { Source } from './source.js'
import type { UploadResource } from './upload-resource.js'
import { expectDelivered, expectStatusStream, readVerdict } from './verdict.js'

/**
 * How long the server may report no sign of an upload that has begun. After that we send the body at once, because a
 * proxy may want it first.
 */
const ARRIVAL_MS = 5_000
/** How long the response to an upload may come after its verdict. */
const CONFIRMATION_MS = 5_000

/**
 * Sends the whole body to an upload resource, or the rest from `offset` on, starting at the `connected` event. Rejects with an EssError unless the
 * events say that it is delivered and the response doesn't contradict them.
 */
export async function uploadTo(
  resource: UploadResource,
  source: Source,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
  offset?: number,
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
  let upload: Exchange | undefined
  try {
    await expectSoon(follow, resource.events, expectStatusStream(follow, resource.events))
    const fields =
      offset === undefined
        ? uploadHeaders(source, options, JSON_MEDIA_TYPE)
        : restHeaders(source, offset, JSON_MEDIA_TYPE)
    const hooks = { begin: gate.opened, fail: (reason: EssError) => upload?.fail(reason) }
    upload = exchange(offset === undefined ? 'PUT' : 'PATCH', resource.upload, {
      headers: { ...fields, ...bearer(resource.upload, options) },
      body: lazyBody(source, hooks, offset),
      signal: options.signal,
    })
    arrival = setTimeout(gate.open, ARRIVAL_MS)
    const byEvents = readVerdict(follow, (event) => {
      onEvent(event)
      const isResumed = event.event === 'resumed' || event.event === 'connected'
      if (isResumed || event.event === 'waiting') clearTimeout(arrival)
      // The receiver is missing, and the bytes would have to be sent once more.
      if (event.event === 'interrupted' && event.side === 'receiver') clearTimeout(arrival)
      if (isResumed) gate.open()
    })
    const byAnswer = readFinalAnswer(upload, resource.upload)
    const delivered = expectDelivered(await agreeOnVerdict(byEvents, byAnswer))
    await awaitConfirmation(byAnswer)
    upload.close()
    follow.close()
    return delivered
  } catch (error) {
    upload?.reset()
    follow.reset()
    throw error
  } finally {
    clearTimeout(arrival)
    gate.giveUp()
  }
}

/**
 * The events give the verdict, and the response confirms it. If one of the two connections breaks, the other one
 * counts.
 */
async function agreeOnVerdict(
  byEvents: Promise<TerminalEvent>,
  byAnswer: Promise<TerminalEvent>,
): Promise<TerminalEvent> {
  const told = byEvents.catch((error: unknown) => instead(error, byAnswer))
  // A refusal comes before any event. A good response waits for the events, which say more.
  const answered = byAnswer.then(
    () => told,
    (error: unknown) => instead(error, told),
  )
  return await Promise.race([told, answered])
}

function instead(error: unknown, other: Promise<TerminalEvent>): Promise<TerminalEvent> {
  if (isLost(error)) return other
  throw error
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

/** Reads the verdict in the response to a whole upload. Throws if it is a refusal. */
async function readFinalAnswer(upload: Exchange, url: URL): Promise<TerminalEvent> {
  const head = await upload.head
  if ((head.statusCode ?? 0) >= 400) throw await readRefusal(upload, head, url)
  const [event] = new StatusDecoder().push(`${await readText(upload, head, url)}\n`)
  if (head.statusCode !== 200 || event === undefined || !isTerminal(event)) throw notEss(head, url)
  return event
}
