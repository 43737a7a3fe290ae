import {
  type DeliveredEvent,
  EssError,
  ROUTES,
  type StatusEvent,
  sealedLink,
  urlAtServer,
} from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import { AwayError } from '../http/away.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { FirstTries } from '../http/first-tries.js'
import { nearestName } from '../http/nearest-name.js'
import { isOurs, uploadEarly } from './early-upload.js'
import { checkEncryption, encrypt } from './encrypt.js'
import { EventQueue } from './event-queue.js'
import { canGoOn, goOn } from './go-on.js'
import { KnownUpload } from './known-upload.js'
import { openSource, type Sendable } from './open-source.js'
import { expectAllOf, type ReadSource, watchReads } from './read-so-far.js'
import { cancelReservation, reserve } from './reservation.js'
import { checkExclude, SEND_OPTIONS, type SendOptions } from './send-options.js'
import type { Source } from './source.js'
import { uploadByPieces } from './upload-by-pieces.js'
import { isOfCluster, type UploadResource } from './upload-resource.js'
import { expectDelivered } from './verdict.js'

/**
 * A transfer under way. Iterate over it for its events, or await `verdict`, or both. The first event is `opened`,
 * with the download URL. The events can be read once. A failed transfer throws the same EssError in both places.
 */
export interface Sending extends AsyncIterable<StatusEvent> {
  /** Resolves when the receiver has every byte. Rejects with an EssError for every other ending. */
  readonly verdict: Promise<DeliveredEvent>
}

/**
 * Sends a file (pass its path), a stream, or an open source, and closes it at the end. A folder's path, or an array of
 * paths, makes one tar, which an `ess` receiver unpacks. No content is read before a receiver is there.
 */
export function send(source: Sendable, options: SendOptions = {}): Sending {
  const events = new EventQueue()
  const verdict = upload(source, options, events)
  verdict.then(
    () => events.end(),
    // For callers that only iterate, this also prevents an unhandled rejection.
    (error: unknown) => events.end(error),
  )
  return { verdict, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() }
}

async function upload(from: Sendable, options: SendOptions, events: EventQueue): Promise<DeliveredEvent> {
  checkOptionNames('send', options, SEND_OPTIONS, nearestName)
  checkExclude(options.exclude)
  checkEncryption(options.encrypt)
  const source = await openSource(from, options)
  // A bundle that we made has the name in it.
  const isNamed = source !== from && source.bundle !== undefined
  const named = isNamed ? { ...options, name: undefined } : options
  try {
    if (!options.encrypt) return await uploadOpened(source, named, events, (event) => events.push(event))
    const sealed = await encrypt(source, options.encrypt, named)
    // The name is sealed too, and the server sees none.
    return await uploadOpened(sealed.source, { ...options, name: undefined }, events, (event) =>
      events.push(withKey(event, sealed.identity)),
    )
  } finally {
    await source.close()
  }
}

async function uploadOpened(
  opened: Source,
  options: SendOptions,
  events: EventQueue,
  onEvent: (event: StatusEvent) => void,
): Promise<DeliveredEvent> {
  const source = watchReads(opened)
  const url = urlAtServer(options.server ?? DEFAULT_SERVER, ROUTES.root)
  const tries = new FirstTries({ url, signal: options.signal, onAway: options.onAway })
  for (;;) {
    try {
      const delivered = await uploadOnce(source, options, events, onEvent)
      expectAllOf(source, delivered.bytes)
      return delivered
    } catch (error) {
      // The server may have opened a socket before the connection to it broke. We never read its link, so no receiver has it,
      // and the socket ends as soon as the server misses its sender.
      if (events.hasBegun || source.isTouched) throw error
      await tries.after(error)
    }
  }
}

async function uploadOnce(
  source: ReadSource,
  options: SendOptions,
  events: EventQueue,
  onEvent: (event: StatusEvent) => void,
): Promise<DeliveredEvent> {
  if (options.reserve) return await uploadReserved(source, options, onEvent)
  return await uploadEarly(source, options, onEvent).catch((error: unknown) => {
    // Up to the first event, no byte of the source has been read. After it, this code can only be ours, midway.
    if (!isReservationRequired(error) || events.hasBegun) throw error
    return uploadReserved(source, options, onEvent).catch((second: unknown) => {
      // The first refusal says what to do. "No reservations here" doesn't.
      throw isWithoutReservations(second) ? error : second
    })
  })
}

/** The event as our caller gets it. The server tells a link without the key, which it doesn't have. */
function withKey(event: StatusEvent, identity: string | undefined): StatusEvent {
  if (event.event !== 'opened' || identity === undefined) return event
  return { ...event, url: sealedLink(event.url, identity) }
}

async function uploadReserved(
  source: ReadSource,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
): Promise<DeliveredEvent> {
  const resource = await reserve(source, options)
  let known: KnownUpload | undefined
  let isTold = false
  const take = (event: StatusEvent) => {
    isTold = true
    if (event.event === 'opened') known ??= KnownUpload.from(event, resource)
    known?.see(event)
    onEvent(event)
  }
  try {
    return await uploadByPieces(resource, source, options, take).catch(async (reason: unknown) => {
      if (source.reach === undefined || known === undefined || !canGoOn(reason)) throw reason
      const broken = { upload: known, reason, by: 'pieces' } as const
      return expectDelivered(await goOn(broken, source, options, onEvent))
    })
  } catch (error) {
    // The server doesn't notice the end of an upload that never reached it. After any other, it waits for the rest.
    if (isOurs(error)) await cancelReservation(known?.resource ?? resource, options)
    const lost = isTold ? undefined : lostAtOnce(error, resource)
    // Its server may be there after all. It never rejects.
    if (lost !== undefined) void cancelReservation(resource, options)
    throw lost ?? error
  }
}

/** Without these, a reservation that was made a moment ago is still there, and so is its server. */
const LOST: readonly string[] = ['connection-lost', 'server-unreachable', 'proxy-failed']
/** In a cluster these say the same. Elsewhere they come from a server that never had it. */
const LOST_BY_NODE: readonly string[] = ['gone', 'moved', 'node-away', 'not-found']

/** The same error, if it means that the server of a new reservation is away, and another one can be made. */
function lostAtOnce(error: unknown, resource: UploadResource): AwayError | undefined {
  if (error instanceof AwayError) return error
  if (!(error instanceof EssError)) return undefined
  const isLost = LOST.includes(error.code) || (isOfCluster(resource) && LOST_BY_NODE.includes(error.code))
  return isLost ? new AwayError(error.code, error.message, { cause: error }) : undefined
}

function isReservationRequired(error: unknown): boolean {
  return error instanceof EssError && error.code === 'reservation-required'
}

function isWithoutReservations(error: unknown): boolean {
  return error instanceof EssError && error.code === 'method-not-allowed'
}
