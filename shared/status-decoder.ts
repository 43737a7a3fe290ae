import { EssError } from './problems.js'
import type { StatusEvent } from './status.js'

/** The longest line of a status stream that a client reads. A real one is under 4 KiB. */
const MAX_LINE_LENGTH = 64 * 1024

/**
 * Reads the NDJSON form piece by piece. Skips events of a later version. Throws EssError `not-ess` for a line that is
 * not a JSON object with an `event`, or is longer than 64 KiB.
 */
export class StatusDecoder {
  #rest = ''

  /** The events that `text` completes. */
  push(text: string): StatusEvent[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    const tooLong = [...lines, this.#rest].find((line) => line.length > MAX_LINE_LENGTH)
    if (tooLong !== undefined) throw notStatus(tooLong)
    return lines.filter((line) => line.trim() !== '').flatMap(parseEvent)
  }
}

const NUMBER = 'number'
const EVENT_MEMBERS: Readonly<Record<StatusEvent['event'], Readonly<Record<string, string>>>> = {
  opened: { v: NUMBER, id: 'string', url: 'string', ttl: NUMBER, expires: 'string', maxUploadBytes: NUMBER },
  reserved: { secondsLeft: NUMBER },
  waiting: { secondsLeft: NUMBER },
  connected: {},
  progress: { bytes: NUMBER },
  interrupted: { side: 'string', bytes: NUMBER, secondsLeft: NUMBER },
  resumed: { bytes: NUMBER },
  rewind: { offset: NUMBER, upload: 'string' },
  moved: {},
  delivered: { bytes: NUMBER, confirmed: 'boolean' },
  failed: { problem: 'object', bytes: NUMBER },
}

function parseEvent(line: string): StatusEvent[] {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw notStatus(line, error)
  }
  if (typeof value !== 'object' || value === null || !('event' in value)) throw notStatus(line)
  const { event } = value
  if (typeof event !== 'string' || !Object.hasOwn(EVENT_MEMBERS, event)) return []
  const members = Object.entries(EVENT_MEMBERS[event as StatusEvent['event']])
  const record = value as Readonly<Record<string, unknown>>
  if (members.some(([name, type]) => typeof record[name] !== type || record[name] === null))
    throw notStatus(line)
  for (const name of ['total', 'ttlAsked', 'resumeWithin'])
    if (name in record && typeof record[name] !== NUMBER) throw notStatus(line)
  // Every member of the type was checked above.
  return [value as StatusEvent]
}

function notStatus(line: string, cause?: unknown): EssError {
  const start = JSON.stringify(line.slice(0, 60))
  return new EssError(
    'not-ess',
    `The answer has a line that is no event of an ESS server: ${start}. Check the address.`,
    { cause },
  )
}
