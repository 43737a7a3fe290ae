import { codeOfProblem, type Problem } from './problems.js'
import { formatBytes, formatDuration } from './units.js'

/** The version of the status stream. Its first event carries it. */
export const STATUS_VERSION = 1

/** The media types of the status stream's forms. */
export const STATUS_MEDIA_TYPES = {
  ndjson: 'application/x-ndjson',
  text: 'text/plain; charset=utf-8',
  /** Server-sent events, for browsers (WHATWG HTML, 9.2). */
  sse: 'text/event-stream',
} as const

/** The form that a sender asked for. */
export type StatusForm = keyof typeof STATUS_MEDIA_TYPES

/** The first event: the socket exists. */
export interface OpenedEvent {
  readonly event: 'opened'
  readonly v: number
  readonly id: string
  /** The download URL, to give to the receiver. */
  readonly url: string
  /** The URL of the upload resource, for the sender alone; absent if reservations are off and the sender can't go on. */
  readonly upload?: string
  /** Seconds until the socket expires without a receiver. */
  readonly ttl: number
  /** Seconds that the sender asked for; absent unless the server's limit, now in `ttl`, is shorter. */
  readonly ttlAsked?: number
  /** Seconds that a side which lost its connection has to come back; absent if the sender can't go on. */
  readonly resumeWithin?: number
  /** The time when the socket expires (RFC 3339). */
  readonly expires: string
  /** Bytes; 0 for no limit. */
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

/** A receiver is there. A lazy body starts now. */
export interface ConnectedEvent {
  readonly event: 'connected'
}

/** The progress of the transfer. */
export interface ProgressEvent {
  readonly event: 'progress'
  /** Bytes handed to the receiver's connection. */
  readonly bytes: number
  /** The size of the whole body, if the sender declared it. */
  readonly total?: number
}

/** A peer has lost its connection, and has this long to come back. It is also the heartbeat of that time. */
export interface InterruptedEvent {
  readonly event: 'interrupted'
  /** Whose connection is missing. */
  readonly side: 'sender' | 'receiver' | 'both'
  /** Bytes handed to the receiver's connection. */
  readonly bytes: number
  readonly secondsLeft: number
}

/** Both peers are there again, and bytes move from this offset on. */
export interface ResumedEvent {
  readonly event: 'resumed'
  readonly bytes: number
}

/**
 * A receiver has come back, and lacks bytes that this request has brought already. It ends the stream of a sender's
 * request; the sender goes on by another one.
 */
export interface RewindEvent {
  readonly event: 'rewind'
  /** The offset from which the sender has to send again. */
  readonly offset: number
  /** The URL of the upload resource that takes those bytes. The one before takes none any more. */
  readonly upload: string
}

/**
 * This node of a cluster stops, and the transfer goes on at another one. It ends the stream without a verdict. The sender
 * opens its link there again.
 */
export interface MovedEvent {
  readonly event: 'moved'
}

/** Terminal: the receiver has every byte. */
export interface DeliveredEvent {
  readonly event: 'delivered'
  readonly bytes: number
  /** True if the receiver closed its connection in good order after the last byte. */
  readonly confirmed: boolean
}

/** Terminal: the transfer failed. */
export interface FailedEvent {
  readonly event: 'failed'
  readonly problem: Problem
  /** Bytes handed to the receiver's connection before it failed. */
  readonly bytes: number
}

/** The two events that end a status stream with a verdict. A stream that ends without one has failed, or goes on elsewhere. */
export type TerminalEvent = DeliveredEvent | FailedEvent

/** Every event that a sender can get, in the order in which they can happen. */
export type StatusEvent =
  | OpenedEvent
  | ReservedEvent
  | WaitingEvent
  | ConnectedEvent
  | ProgressEvent
  | InterruptedEvent
  | ResumedEvent
  | RewindEvent
  | MovedEvent
  | TerminalEvent

/** True for the verdict. */
export function isTerminal(event: StatusEvent): event is TerminalEvent {
  return event.event === 'delivered' || event.event === 'failed'
}

/** Writes an event as one line of the status stream, with its newline, in the form that the sender asked for. */
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

/** The text form: the first line is exactly the URL, and every other line begins with `# `. */
function statusText(event: StatusEvent): string {
  switch (event.event) {
    case 'opened': {
      const cut = event.ttlAsked === undefined ? '' : `# ${shorterThanAsked(event.ttl, event.ttlAsked)}\n`
      return `${event.url}\n# waiting for a receiver; the link works once, for ${formatDuration(event.ttl)}\n${cut}`
    }
    case 'reserved':
      return `# reserved; the sender has ${formatDuration(event.secondsLeft)} to begin\n`
    case 'waiting':
      return `# still waiting, ${formatDuration(event.secondsLeft)} left\n`
    case 'connected':
      return '# receiver connected\n'
    case 'progress': {
      const total = event.total === undefined ? '' : ` of ${formatBytes(event.total)}`
      return `# ${formatBytes(event.bytes)}${total}\n`
    }
    case 'interrupted': {
      const who = { sender: 'the sender', receiver: 'the receiver', both: 'both sides' }[event.side]
      return `# connection to ${who} lost after ${formatBytes(event.bytes)}; ${formatDuration(event.secondsLeft)} left to come back\n`
    }
    case 'resumed':
      return `# going on from ${formatBytes(event.bytes)}\n`
    case 'rewind':
      return `# the receiver came back; go on from byte ${event.offset} at ${event.upload}\n`
    case 'moved':
      return '# this part of the server stops; the transfer can go on at another one\n'
    case 'delivered': {
      const doubt = event.confirmed ? '' : ', not confirmed by the receiver'
      return `# delivered: ${event.bytes} bytes${doubt}\n`
    }
    case 'failed': {
      const { detail, title } = event.problem
      // The message may have several lines, and each must become a comment.
      const words = (detail ?? `${title}.`).replaceAll(/\r?\n|\r/g, '\n# ')
      return `# failed: ${words} [${codeOfProblem(event.problem)}]\n`
    }
  }
}

/** Tells a sender that its link won't wait as long as it asked. Both are in seconds. */
export function shorterThanAsked(ttl: number, asked: number): string {
  return `This server keeps a link for at most ${formatDuration(ttl)}; you asked for ${formatDuration(asked)}.`
}
