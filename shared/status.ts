import type { Problem } from './problems.js'
import { formatBytes, formatDuration } from './units.js'

/** The version of the status stream, in its first event. */
export const STATUS_VERSION = 1

/** The media types of the forms of the status stream. */
export const STATUS_MEDIA_TYPES = {
  ndjson: 'application/x-ndjson',
  text: 'text/plain; charset=utf-8',
  /** Server-sent events, for browsers (WHATWG HTML, 9.2). */
  sse: 'text/event-stream',
} as const

/** The form a sender asked for. */
export type StatusForm = keyof typeof STATUS_MEDIA_TYPES

/** The first event: the socket exists. */
export interface OpenedEvent {
  readonly event: 'opened'
  readonly v: number
  readonly id: string
  /** The download URL, to hand to the receiver. */
  readonly url: string
  /** The URL of the upload resource, the sender's alone; absent where reservations are off. */
  readonly upload?: string
  /** Seconds until the socket expires if nobody comes. */
  readonly ttl: number
  /** Seconds that the sender asked for; absent unless they were cut to the server's limit, which `ttl` is then. */
  readonly ttlAsked?: number
  /** When that is (RFC 3339). */
  readonly expires: string
  /** Bytes; 0 when there is no limit. */
  readonly maxUploadBytes: number
}

/** The state and the heartbeat of a reserved socket: its sender is not there yet. */
export interface ReservedEvent {
  readonly event: 'reserved'
  readonly secondsLeft: number
}

/** The heartbeat of a socket that waits for its receiver. */
export interface WaitingEvent {
  readonly event: 'waiting'
  readonly secondsLeft: number
}

/** A receiver is there: the sender's lazy body starts here. */
export interface ConnectedEvent {
  readonly event: 'connected'
}

/** How far it is. */
export interface ProgressEvent {
  readonly event: 'progress'
  /** Bytes handed to the receiver's connection. */
  readonly bytes: number
  /** The size of the whole, where the sender declared it. */
  readonly total?: number
}

/** Terminal: the receiver has every byte. */
export interface DeliveredEvent {
  readonly event: 'delivered'
  readonly bytes: number
  /** True when the receiver closed its connection in good order after the last byte. */
  readonly confirmed: boolean
}

/** Terminal: the transfer failed. */
export interface FailedEvent {
  readonly event: 'failed'
  readonly problem: Problem
  /** Bytes handed to the receiver's connection before that. */
  readonly bytes: number
}

/** The two that end a status stream; a stream that ends without one is a failed transfer. */
export type TerminalEvent = DeliveredEvent | FailedEvent

/** All that a sender is told, in the order in which it can happen. */
export type StatusEvent =
  | OpenedEvent
  | ReservedEvent
  | WaitingEvent
  | ConnectedEvent
  | ProgressEvent
  | TerminalEvent

/** True for the verdict. */
export function isTerminal(event: StatusEvent): event is TerminalEvent {
  return event.event === 'delivered' || event.event === 'failed'
}

/** An event as one line of the status stream, in the form the sender asked for, newline included. */
export function encodeStatus(event: StatusEvent, form: StatusForm): string {
  switch (form) {
    case 'ndjson':
      return `${JSON.stringify(event)}\n`
    case 'sse':
      return `event: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`
    case 'text':
      return statusText(event)
  }
}

/** The text form: the first line is exactly the URL, every other one begins with `# `. */
function statusText(event: StatusEvent): string {
  switch (event.event) {
    case 'opened': {
      const cut = event.ttlAsked === undefined ? '' : `# ${shorterThanAsked(event.ttl, event.ttlAsked)}\n`
      return `${event.url}\n# waiting for a receiver; the link works once, for ${formatDuration(event.ttl)}\n${cut}`
    }
    case 'reserved':
      return `# reserved; its sender has ${formatDuration(event.secondsLeft)} left\n`
    case 'waiting':
      return `# still waiting, ${formatDuration(event.secondsLeft)} left\n`
    case 'connected':
      return '# receiver connected\n'
    case 'progress': {
      const total = event.total === undefined ? '' : ` of ${formatBytes(event.total)}`
      return `# ${formatBytes(event.bytes)}${total}\n`
    }
    case 'delivered': {
      const doubt = event.confirmed ? '' : ', not confirmed by the receiver'
      return `# delivered: ${event.bytes} bytes${doubt}\n`
    }
    case 'failed':
      // Words may come in lines, and every line but the first one of the stream is a comment.
      return `# failed: ${(event.problem.detail ?? event.problem.title).replaceAll(/\r?\n|\r/g, '\n# ')}\n`
  }
}

/** What a sender is told whose link won't wait as long as it asked; both in seconds. */
export function shorterThanAsked(ttl: number, asked: number): string {
  return `this server lets a link wait for ${formatDuration(ttl)} at most; ${asked} s were asked for`
}
