import type { IncomingMessage } from 'node:http'
import {
  type DeliveredEvent,
  EssError,
  isTerminal,
  joinUrl,
  PROBLEM_MEDIA_TYPE,
  QUERY,
  ROUTES,
  STATUS_MEDIA_TYPES,
  StatusDecoder,
  type StatusEvent,
  safeFileName,
  type TerminalEvent,
  uploadEventsPath,
  uploadPath,
  urlAtServer,
} from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { type Exchange, exchange } from '../http/exchange.js'
import { notEss, readRefusal } from '../http/refusal.js'
import { unreachable } from '../http/wire-errors.js'
import { bodyGate, lazyBody, uploadHeaders } from './lazy-body.js'
import type { SendOptions } from './send-options.js'
import type { Source } from './source.js'
import { expectDelivered, expectStatusStream, readVerdict } from './verdict.js'

/** The sender's own handle on its socket. */
export interface UploadResource {
  /** Takes the whole body. */
  readonly upload: URL
  /** Its status stream. */
  readonly events: URL
}

const JSON_MEDIA_TYPE = 'application/json'
/** A reservation and a final answer are some hundred bytes each. */
const MAX_ANSWER_BYTES = 64 * 1024
/** How long a reservation, or the head of its status stream, may take, connecting included: both are ready at once. */
const UNANSWERED_MS = 15_000
/** How long the server may be without news of an upload that was begun: a proxy may want its body first. */
const ARRIVAL_MS = 5_000
/** How long a failed upload may take to give its reservation back. */
const CANCEL_MS = 1_000
/** How long the answer to an upload may come after its verdict. */
const CONFIRMATION_MS = 5_000

/**
 * Reserves a socket for `source`. Throws EssError `method-not-allowed` where the server takes no reservations.
 */
export async function reserve(source: Source, options: SendOptions): Promise<UploadResource> {
  const url = reservationUrl(source, options)
  const asking = exchange('POST', url, {
    headers: {
      accept: `${JSON_MEDIA_TYPE}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
      'content-length': '0',
      ...bearer(url, options),
    },
    body: nothing(),
    signal: options.signal,
  })
  try {
    const resource = await soon(asking, url, readReservation(asking, url))
    asking.close()
    return resource
  } catch (error) {
    asking.reset()
    throw error
  }
}

async function readReservation(asking: Exchange, url: URL): Promise<UploadResource> {
  const head = await asking.head
  if (head.statusCode === 404 || head.statusCode === 405) throw await withoutReservations(asking, head, url)
  if ((head.statusCode ?? 0) >= 400) throw await readRefusal(asking, head, url)
  const { upload, events } = parseObject(await readText(asking, head, url))
  if (head.statusCode !== 201 || !isUrl(upload, url) || !isUrl(events, url)) throw notEss(head, url)
  return { upload: new URL(upload, url), events: new URL(events, url) }
}

/**
 * Takes a reservation back whose upload will not come, because its receiver would wait in vain. Where that can't be said
 * within a second, it expires by itself.
 */
export async function cancelReservation({ upload }: UploadResource, options: SendOptions): Promise<void> {
  const asking = exchange('DELETE', upload, {
    headers: { accept: PROBLEM_MEDIA_TYPE, 'content-length': '0', ...bearer(upload, options) },
    body: nothing(),
  })
  const timer = setTimeout(
    () => asking.fail(new EssError('connection-lost', 'No answer to the cancellation')),
    CANCEL_MS,
  )
  try {
    await asking.head
    asking.close()
  } catch {
    // What made it fail is what is told.
    asking.reset()
  } finally {
    clearTimeout(timer)
  }
}

/** The upload resource that an `opened` event names; undefined where reservations are off. */
export function resourceOf(upload: string | undefined, server: URL): UploadResource | undefined {
  if (!isUrl(upload, server)) return undefined
  const url = new URL(upload, server)
  const token = url.pathname.split('/').at(-1) ?? ''
  const base = url.href.slice(0, url.href.lastIndexOf(uploadPath(token)))
  return { upload: url, events: new URL(joinUrl(base, uploadEventsPath(token))) }
}

/**
 * Sends the whole body to an upload resource, from the `connected` event on. Rejects with an
 * EssError unless its events say that it is delivered, and its answer nothing else.
 */
export async function uploadTo(
  resource: UploadResource,
  source: Source,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
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
    await soon(follow, resource.events, expectStatusStream(follow, resource.events))
    upload = exchange('PUT', resource.upload, {
      headers: { ...uploadHeaders(source, options, JSON_MEDIA_TYPE), ...bearer(resource.upload, options) },
      body: lazyBody(source, { begin: gate.opened, fail: (reason) => upload?.fail(reason) }),
      signal: options.signal,
    })
    arrival = setTimeout(gate.open, ARRIVAL_MS)
    const byEvents = readVerdict(follow, (event) => {
      onEvent(event)
      if (event.event === 'waiting' || event.event === 'connected') clearTimeout(arrival)
      if (event.event === 'connected') gate.open()
    })
    const byAnswer = readFinalAnswer(upload, resource.upload)
    const delivered = expectDelivered(await agreed(byEvents, byAnswer))
    await confirmed(byAnswer)
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

/** Waits for what a server has at once; fails the exchange where it does not come. */
async function soon<T>(answer: Exchange, url: URL, coming: Promise<T>): Promise<T> {
  const timer = setTimeout(
    () => answer.fail(unreachable(url, 'it took the connection, and did not answer within 15 s')),
    UNANSWERED_MS,
  )
  try {
    return await coming
  } finally {
    clearTimeout(timer)
  }
}

/** The events are the verdict, and the answer confirms it. Where one of the two connections broke, the other counts. */
async function agreed(
  byEvents: Promise<TerminalEvent>,
  byAnswer: Promise<TerminalEvent>,
): Promise<TerminalEvent> {
  const told = byEvents.catch((error: unknown) => instead(error, byAnswer))
  // A refusal comes before any event; an answer that is good waits for the events, which say more.
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

/** Throws what the answer says against the verdict; that it never comes is noise. */
async function confirmed(byAnswer: Promise<TerminalEvent>): Promise<void> {
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

/** The verdict in the answer to a whole upload; a failure is thrown. */
async function readFinalAnswer(upload: Exchange, url: URL): Promise<TerminalEvent> {
  const head = await upload.head
  if ((head.statusCode ?? 0) >= 400) throw await readRefusal(upload, head, url)
  const [event] = new StatusDecoder().push(`${await readText(upload, head, url)}\n`)
  if (head.statusCode !== 200 || event === undefined || !isTerminal(event)) throw notEss(head, url)
  return event
}

async function readText(answer: Exchange, head: IncomingMessage, url: URL): Promise<string> {
  let text = ''
  try {
    for await (const chunk of answer.body) {
      text += String(chunk)
      if (text.length > MAX_ANSWER_BYTES) throw notEss(head, url)
    }
  } catch (error) {
    throw answer.failure ?? error
  }
  return text
}

/** A server of ours says `not-found` there, or `method-not-allowed`; anybody else's 404 is no ESS. */
async function withoutReservations(asking: Exchange, head: IncomingMessage, url: URL): Promise<EssError> {
  const refusal = await readRefusal(asking, head, url)
  if (refusal.code !== 'not-found' && refusal.code !== 'method-not-allowed') return refusal
  return new EssError(
    'method-not-allowed',
    `Expected a server that takes reservations, got one that does not at ${url.origin}`,
    { cause: refusal },
  )
}

function reservationUrl(source: Source, options: SendOptions): URL {
  const url = urlAtServer(options.server ?? DEFAULT_SERVER, ROUTES.reserve)
  const name = safeFileName(options.name ?? source.name ?? '')
  if (name !== undefined) url.searchParams.set(QUERY.filename, name)
  if (options.ttl !== undefined) url.searchParams.set(QUERY.ttl, String(options.ttl))
  return url
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    // Any object may be asked for a member; what that is, is looked at where it is used.
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    // Not JSON, so not a reservation: the caller says so.
    return {}
  }
}

function isUrl(value: unknown, base: URL): value is string {
  return (
    typeof value === 'string' &&
    URL.canParse(value, base.href) &&
    /^https?:$/.test(new URL(value, base).protocol)
  )
}

/** got waits for the body of a POST, also when there is none. */
async function* nothing(): AsyncGenerator<Uint8Array> {}
