import { Readable } from 'node:stream'
import { type DeliveredEvent, EssError, type StatusEvent } from '../../shared/index.js'
import { checkOptionNames, kindOf } from '../../shared/option-names.js'
import { nearestName } from '../http/nearest-name.js'
import { uploadEarly } from './early-upload.js'
import { EventQueue } from './event-queue.js'
import { cancelReservation, reserve } from './reservation.js'
import { uploadTo } from './reserved-upload.js'
import { SEND_OPTIONS, type SendOptions } from './send-options.js'
import { fromStream, openFile, type Source } from './source.js'

/**
 * A transfer under way. Iterate over it for its events (the first is `opened`, with the download URL; they can
 * be read once), or await `verdict`, or both: a failed transfer throws the same EssError in either place.
 */
export interface Sending extends AsyncIterable<StatusEvent> {
  /** Resolves when the receiver has every byte; rejects with an EssError for every other ending. */
  readonly verdict: Promise<DeliveredEvent>
}

/**
 * Sends a file (by its path), a stream, or a source that is open already; it is closed at the end.
 * Nothing is read from it before a receiver is there.
 */
export function send(source: string | Readable | Source, options: SendOptions = {}): Sending {
  const events = new EventQueue()
  const verdict = upload(source, options, events)
  verdict.then(
    () => events.end(),
    // This also keeps it from being an unhandled rejection for those who only iterate.
    (error: unknown) => events.end(error),
  )
  return { verdict, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() }
}

async function upload(
  from: string | Readable | Source,
  options: SendOptions,
  events: EventQueue,
): Promise<DeliveredEvent> {
  checkOptionNames('send', options, SEND_OPTIONS, nearestName)
  const source = await openSource(from)
  const onEvent = (event: StatusEvent) => events.push(event)
  try {
    if (options.reserve) return await uploadReserved(source, options, onEvent)
    return await uploadEarly(source, options, onEvent).catch((error: unknown) => {
      // Refused before a byte of the source was read; the same code midway comes from nobody but us.
      if (!isReservationRequired(error) || events.hasBegun) throw error
      return uploadReserved(source, options, onEvent).catch((second: unknown) => {
        // What it was refused with says what to do; that there is no reservation to be had does not.
        throw isWithoutReservations(second) ? error : second
      })
    })
  } finally {
    await source.close()
  }
}

async function uploadReserved(
  source: Source,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
): Promise<DeliveredEvent> {
  const resource = await reserve(source, options)
  let hasArrived = false
  try {
    return await uploadTo(resource, source, options, (event) => {
      hasArrived ||= event.event === 'waiting' || event.event === 'connected'
      onEvent(event)
    })
  } catch (error) {
    // The server doesn't see the end of an upload that has not reached it.
    if (!hasArrived && isOurs(error)) await cancelReservation(resource, options)
    throw error
  }
}

/** True for what the server can't know by itself. */
function isOurs(error: unknown): boolean {
  return error instanceof EssError && /^(?:interrupted|file-unreadable|file-changed)$/.test(error.code)
}

function isReservationRequired(error: unknown): boolean {
  return error instanceof EssError && error.code === 'reservation-required'
}

function isWithoutReservations(error: unknown): boolean {
  return error instanceof EssError && error.code === 'method-not-allowed'
}

async function openSource(from: string | Readable | Source): Promise<Source> {
  if (typeof from === 'string') return await openFile(from)
  if (from instanceof Readable) return fromStream(from)
  if (isSource(from)) return from
  const wanted = 'expected the path of a file, a Readable, or what openFile() or fromStream() gives'
  throw new EssError('usage', `send: ${wanted}; got ${kindOf(from)}`)
}

/** What a caller without types might give has no `read`. */
function isSource(from: unknown): from is Source {
  return typeof from === 'object' && from !== null && 'read' in from && 'close' in from
}
