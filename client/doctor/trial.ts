import {
  DEFAULT_CONTENT_TYPE,
  downloadPath,
  EssError,
  isTerminal,
  PROBLEM_MEDIA_TYPE,
  QUERY,
  ROUTES,
  STATUS_MEDIA_TYPES,
  StatusDecoder,
  type StatusEvent,
  type TerminalEvent,
  uploadEventsPath,
  uploadPath,
} from '../../shared/index.js'
import type { Asked } from './ask.js'
import { Bell } from './bell.js'
import type { Patient } from './patient.js'

/** Seconds that a link of ours waits: whatever should be left behind is soon gone. */
export const TRIAL_TTL = 30
/** The name of what is sent, which goes where ess and curl put one. */
export const TRIAL_NAME = 'ess-doctor.txt'

/** A transfer of our own: we are its sender, and may be its receiver too. */
export interface Trial {
  readonly id: string
  /** Rings at whatever happens to the sender or to its receivers. */
  readonly bell: Bell
  /** The request that carries the body. */
  readonly upload: Asked
  /** The request whose answer is the status stream; the same one for an early response. */
  readonly status: Asked
  /** What the sender was told so far. */
  told(): readonly StatusEvent[]
  /** Waits for an event; undefined if it doesn't come in time. */
  untilTold(name: StatusEvent['event'], ms?: number): Promise<StatusEvent | undefined>
  /** Waits for the verdict. */
  verdict(ms?: number): Promise<TerminalEvent | undefined>
  /** Asks for the download. */
  receive(headers?: Readonly<Record<string, string>>): Promise<Asked>
  /** Ends it, wherever it is. */
  reset(): void
}

/** Fields of an upload; `size` is undefined for one in chunks. */
export function uploadFields(size: number | undefined): Readonly<Record<string, string>> {
  return {
    accept: `${STATUS_MEDIA_TYPES.ndjson}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
    expect: '100-continue',
    'content-type': DEFAULT_CONTENT_TYPE,
    ...(size === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(size) }),
  }
}

/** The address of an upload with an early response. */
export function earlyUrl(patient: Patient, ttl: number = TRIAL_TTL): URL {
  const url = patient.at(ROUTES.root)
  url.searchParams.set(QUERY.ttl, String(ttl))
  url.searchParams.set(QUERY.filename, TRIAL_NAME)
  return url
}

/**
 * Opens a transfer the way that works here, and sends none of its body. Rejects with the server's refusal, or with
 * `connection-lost` if no answer comes.
 */
export async function openTrial(
  patient: Patient,
  size?: number,
  ttl: number = TRIAL_TTL,
  type: string = DEFAULT_CONTENT_TYPE,
): Promise<Trial> {
  const bell = new Bell()
  const fields = { ...uploadFields(size), 'content-type': type }
  if (patient.way === 'reserved') {
    const { id, upload, events } = await reserve(patient, ttl)
    const status = await patient.ask('GET', events, { accept: STATUS_MEDIA_TYPES.ndjson }, { bell })
    const uploading = await patient.ask('PUT', upload, fields, { bell })
    return trial(patient, id, bell, uploading, status)
  }
  const upload = await patient.ask('POST', earlyUrl(patient, ttl), fields, { bell })
  await expectAnswer(upload, 201, patient.answerMs)
  const opened = await openedIn(upload, patient.answerMs)
  if (opened === undefined) throw new EssError('connection-lost', 'The status stream said nothing.')
  if (opened.upload !== undefined) patient.remember(rebased(patient, opened.upload).href)
  return trial(patient, opened.id, bell, upload, upload)
}

/** A reservation. Its addresses are at the server as we reach it, whatever name it has for itself. */
export async function reserve(
  patient: Patient,
  ttl: number = TRIAL_TTL,
): Promise<{ readonly id: string; readonly url: string; readonly upload: URL; readonly events: URL }> {
  const url = patient.at(ROUTES.reserve)
  url.searchParams.set(QUERY.ttl, String(ttl))
  url.searchParams.set(QUERY.filename, TRIAL_NAME)
  const asked = await patient.ask('POST', url, {
    accept: `application/json, ${PROBLEM_MEDIA_TYPE};q=0.9`,
    'content-length': '0',
  })
  asked.finish()
  await expectAnswer(asked, 201, patient.answerMs)
  await asked.until(() => asked.end, patient.answerMs)
  const { id, url: link, upload } = memberOf(asked.text)
  if (typeof id !== 'string' || typeof link !== 'string' || typeof upload !== 'string')
    throw new EssError('not-ess', 'The reservation has no link.')
  const token = upload.split('/').at(-1) ?? ''
  const at = patient.at(uploadPath(token))
  patient.remember(at.href)
  return { id, url: link, upload: at, events: patient.at(uploadEventsPath(token)) }
}

/** Rejects with the refusal unless the answer has this status. */
export async function expectAnswer(asked: Asked, status: number, ms: number): Promise<void> {
  const head = await asked.answer(ms)
  if (head?.statusCode === status) return
  if (head === undefined) throw new EssError('connection-lost', 'No answer came.')
  throw (await asked.refusal()) ?? new EssError('not-ess', `The answer was HTTP ${head.statusCode}.`)
}

/** The first event of a status stream; undefined if it doesn't come in time. */
export async function openedIn(asked: Asked, ms: number) {
  const found = await asked.until(() => eventsIn(asked.text).find(({ event }) => event === 'opened'), ms)
  return found?.event === 'opened' ? found : undefined
}

function trial(patient: Patient, id: string, bell: Bell, upload: Asked, status: Asked): Trial {
  const told = () => eventsIn(status.text)
  return {
    id,
    bell,
    upload,
    status,
    told,
    untilTold: (name, ms = patient.answerMs) =>
      bell.until(() => told().find(({ event }) => event === name), ms),
    verdict: (ms = patient.answerMs) => bell.until(() => told().find(isTerminal), ms),
    receive: (headers = {}) => patient.ask('GET', patient.at(downloadPath(id)), headers, { bell }),
    reset() {
      upload.reset()
      status.reset()
    },
  }
}

/** The events so far; none if they are no events. */
function eventsIn(text: string): readonly StatusEvent[] {
  try {
    return new StatusDecoder().push(text)
  } catch {
    // Whatever it is, it isn't a status stream, and the check that waits for an event says so.
    return []
  }
}

/** An upload resource at the server as we reach it, whatever name it has for itself. */
export function rebased(patient: Patient, upload: string): URL {
  return patient.at(uploadPath(upload.split('/').at(-1) ?? ''))
}

function memberOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    // Any object can be asked for a member; the caller checks the value.
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {} // No JSON has no members either.
  }
}
