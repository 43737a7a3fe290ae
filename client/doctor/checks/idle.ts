import { downloadPath, formatDuration } from '../../../shared/index.js'
import { type Finding, flaw, note, ok } from '../finding.js'
import type { Patient } from '../patient.js'
import { openTrial, reserve, type Trial } from '../trial.js'

/** What was seen of one connection on which little moves. */
interface Idle {
  readonly what: string
  /** After how long it was cut; undefined if it stayed. */
  readonly cutMs: number | undefined
  /** After how long its link expired; undefined if it didn't. */
  readonly expiredMs: number | undefined
}

/** What cuts a connection on which nothing moves? A sender that waits is sent heartbeats; a receiver that waits, nothing. */
export async function checkIdle(patient: Patient): Promise<Finding> {
  const { longMs } = patient
  if (longMs === undefined)
    return { verdict: 'skipped', words: 'Only --long shows when a proxy cuts an idle connection.' }
  const idle = await Promise.all([waitAsSender(patient, longMs), waitAsReceiver(patient, longMs)])
  const seen = idle.filter((one) => one !== undefined)
  const cut = seen.filter(({ cutMs }) => cutMs !== undefined)
  if (cut.length > 0) {
    const words = cut.map(({ what, cutMs = 0 }) => `${what} was cut after ${formatDuration(cutMs / 1000)}`)
    return flaw('idle-cut', capital(`${words.join('; ')}.`))
  }
  const kept = seen.map(({ what }) => what).join(' and ')
  if (kept === '') return note('Nothing could wait.')
  // The server may give links less time than we asked for.
  const expiredMs = seen.map((one) => one.expiredMs).filter((ms) => ms !== undefined)
  if (expiredMs.length > 0)
    return note(
      `The links expired after ${formatDuration(Math.min(...expiredMs) / 1000)}, and nothing was cut before that.`,
    )
  const verb = seen.length > 1 ? 'are' : 'is'
  return ok(`After ${formatDuration(longMs / 1000)}, ${kept} ${verb} still connected.`)
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** With seconds to spare, so that the link outlives the wait. */
function ttlFor(ms: number): number {
  return Math.ceil(ms / 1000) + 30
}

async function waitAsSender(patient: Patient, waitMs: number): Promise<Idle> {
  const trial = await openTrial(patient, 4, ttlFor(waitMs))
  const begin = performance.now()
  await trial.bell.until(() => isOver(trial), waitMs)
  const ms = performance.now() - begin
  const [cutMs, expiredMs] = isOver(trial) ? (isCut(trial) ? [ms, undefined] : [undefined, ms]) : []
  trial.reset()
  return { what: 'a waiting sender', cutMs, expiredMs }
}

function isOver({ status, upload }: Trial): boolean {
  return status.end !== undefined || upload.end !== undefined
}

/** A link that has expired is no cut. */
function isCut(trial: Trial): boolean {
  return isOver(trial) && !trial.told().some(({ event }) => event === 'failed')
}

/** A receiver that waits for its sender, as `ess get --wait` does. Needs a link without a sender: a reservation. */
async function waitAsReceiver(patient: Patient, waitMs: number): Promise<Idle | undefined> {
  const reservation = await reserve(patient, ttlFor(waitMs)).catch(() => undefined)
  if (reservation === undefined) return undefined // The server gives none.
  const waiting = await patient.ask('GET', patient.at(downloadPath(reservation.id)), { te: 'trailers' })
  const begin = performance.now()
  await waiting.until(() => waiting.end ?? waiting.head, waitMs)
  const ms = performance.now() - begin
  const isOver = waiting.end !== undefined || waiting.head !== undefined
  const isAnswered = isOver && (await waiting.refusal()) !== undefined
  waiting.reset()
  return {
    what: 'a waiting receiver',
    cutMs: isOver && !isAnswered ? ms : undefined,
    expiredMs: isAnswered ? ms : undefined,
  }
}
