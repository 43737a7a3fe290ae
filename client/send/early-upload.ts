import {
  type DeliveredEvent,
  EssError,
  QUERY,
  ROUTES,
  STATUS_MEDIA_TYPES,
  type StatusEvent,
  type TerminalEvent,
  urlAtServer,
} from '../../shared/index.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import { bearer } from '../http/bearer.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { type Exchange, exchange } from '../http/exchange.js'
import { type Broken, canGoOn, goOn } from './go-on.js'
import { KnownUpload } from './known-upload.js'
import { bodyGate, lazyBody, uploadHeaders } from './lazy-body.js'
import type { ReadSource } from './read-so-far.js'
import { cancelReservation } from './reservation.js'
import type { SendOptions } from './send-options.js'
import type { Source } from './source.js'
import { uploadByPieces } from './upload-by-pieces.js'
import { resourceOf, type UploadResource } from './upload-resource.js'
import { expectDelivered, expectStatusStream, lost, readVerdict } from './verdict.js'
import { askState, watchUpload } from './watch-upload.js'

/** If the first byte takes longer than this to arrive, we assume that a proxy holds the body back. */
const HELD_BACK_MS = 5_000

/**
 * How long the response may take to begin, connecting included. Our server begins it at once. A proxy that wants the
 * whole body before it passes the request on would wait for us as long as we wait for it.
 */
const UNANSWERED_MS = 15_000

/**
 * Opens a socket and sends in one request, whose early response is the status stream. If a proxy holds the body back
 * (nginx does that once a response has begun), the upload goes on through the upload resource. Rejects with an
 * EssError unless the file is delivered.
 */
export async function uploadEarly(
  source: ReadSource,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
): Promise<DeliveredEvent> {
  const gate = bodyGate()
  const watch = watchFirstByte()
  const url = uploadUrl(options)
  let resource: UploadResource | undefined
  let known: KnownUpload | undefined
  let by: Broken['by'] = 'rest'
  const upload: Exchange = exchange('POST', url, {
    headers: { ...uploadHeaders(source, options, STATUS_MEDIA_TYPES.ndjson), ...bearer(url, options) },
    body: lazyBody(source, {
      begin: gate.opened,
      onFirstByte: () => watch.sent(),
      fail: (reason) => upload.fail(reason),
    }),
    signal: options.signal,
  })
  const silence = watchUpload(
    () => resource,
    options,
    (reason) => upload.fail(reason),
  )
  const unanswered = setTimeout(() => upload.fail(bodyWantedFirst()), UNANSWERED_MS)
  try {
    await upload.head
    clearTimeout(unanswered)
    await expectStatusStream(upload, url)
    const early = readVerdict(upload, (event) => {
      silence.see(event)
      known?.see(event)
      onEvent(event)
      if (event.event === 'opened') {
        resource = resourceOf(event.upload, url)
        known = KnownUpload.from(event, resource)
      } else if (event.event === 'connected') gate.open()
      if (event.event === 'progress' && event.bytes > 0) watch.arrived()
    })
    const atOnce = async () => {
      const verdict = await Promise.race([early, watch.heldBack])
      if (verdict !== undefined) return verdict
      by = 'pieces'
      return await goOnByResource(early, resource, source, options, onEvent)
    }
    const verdict = await atOnce().catch((reason: unknown) => {
      if (known === undefined || !canGoOn(reason)) throw reason
      silence.stop()
      upload.reset()
      return goOn({ upload: known, reason, by }, source, options, onEvent)
    })
    const delivered = expectDelivered(verdict)
    upload.close()
    return delivered
  } catch (error) {
    // The body may still be on its way, and only a reset stops it.
    upload.reset()
    // A cut alone would have the receiver wait for us.
    if (known !== undefined && isOurs(error)) await cancelReservation(known.resource, options)
    throw error
  } finally {
    clearTimeout(unanswered)
    silence.stop()
    watch.stop()
    gate.giveUp()
  }
}

/** True for an ending of our own, which the server can't know of. */
export function isOurs(error: unknown): boolean {
  return error instanceof EssError && /^(?:interrupted|file-unreadable|file-changed)$/.test(error.code)
}

/** Repeats the transfer through its upload resource, from the first byte on. */
async function goOnByResource(
  early: Promise<TerminalEvent>,
  resource: UploadResource | undefined,
  source: Source,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
): Promise<TerminalEvent> {
  // There is no other way. The first request is slow, but it may still get there.
  if (resource === undefined) return await early
  if (source.isRepeatable !== true && source.reach === undefined) {
    throw new EssError(
      'reservation-required',
      'A proxy on the way holds the upload back, and piped data cannot be read again. Start again with --reserve.',
    )
  }
  // What is read once would be taken from the first request, which may have arrived after all.
  if (source.isRepeatable !== true && (await hasArrived(resource, options))) return await early
  let isNews = false
  const again = uploadByPieces(resource, source, options, (event) => {
    // Its first events repeat the present state, which the caller knows.
    if (isNews) onEvent(event)
    if (event.event === 'connected') isNews = true
  }).catch((error: unknown) => {
    if (!(error instanceof EssError)) throw error
    // It answered a moment ago: it is frozen, or a network has gone, and the upload goes on by yet another request.
    if (error.code === 'server-unreachable')
      throw new EssError('connection-lost', lost().message, { cause: error })
    if (error.code !== 'already-open') throw error
    // The first bytes did arrive by the first request, a moment ago.
    if (source.isRepeatable === true) return early
    throw new EssError('connection-lost', 'The upload was begun twice, and goes on by another request.')
  })
  // The server drops the first request when it takes the second.
  return await Promise.race([early.catch(() => again), again])
}

/** True if bytes of an upload have come to its receiver, or its server can't say. */
async function hasArrived(resource: UploadResource, options: SendOptions): Promise<boolean> {
  const state = await askState(resource, options).catch(() => undefined)
  return state?.event !== 'connected' && !(state?.event === 'progress' && state.bytes === 0)
}

/** With this code, `send` goes on with a reservation, whose response may come after the body. */
function bodyWantedFirst(): EssError {
  return new EssError(
    'reservation-required',
    'No answer came for 15 s: a proxy on the way seems to wait for the whole upload first. That works only with a reservation: try --reserve, or ask the operator for --reservations.',
  )
}

/** Notices when the first bytes went out but never arrived. */
function watchFirstByte() {
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  const { promise: heldBack, resolve } = withResolvers<void>()
  const stop = () => {
    isOver = true
    clearTimeout(timer)
  }
  return {
    /** Resolves if they never arrive; otherwise it stays pending. */
    heldBack,
    sent() {
      if (!isOver) timer = setTimeout(resolve, HELD_BACK_MS)
    },
    arrived: stop,
    stop,
  }
}

function uploadUrl(options: SendOptions): URL {
  const url = urlAtServer(options.server ?? DEFAULT_SERVER, ROUTES.root)
  if (options.ttl !== undefined) url.searchParams.set(QUERY.ttl, String(options.ttl))
  return url
}
