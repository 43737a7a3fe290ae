import { downloadPath, formatDuration } from '../../../shared/index.js'
import { type Finding, flaw, note, ok } from '../finding.js'
import type { Patient } from '../patient.js'
import { openTrial, reserve, type Trial } from '../trial.js'

/** What was seen of one connection on which little moves. */
interface Idle {
  readonly what: string
  /** After how long it was cut; undefined if it stayed. */
  readonly cutMs: number | undefined
}

/** What cuts a connection on which nothing moves? A sender that waits is sent heartbeats; a receiver that waits, nothing. */
export async function checkIdle(patient: Patient): Promise<Finding> {
  const { longMs } = patient
  if (longMs === undefined)
    return { verdict: 'skipped', words: 'Say --long to wait for a connection to be cut.' }
  const idle = await Promise.all([waitAsSender(patient, longMs), waitAsReceiver(patient, longMs)])
  const seen = idle.filter((one) => one !== undefined)
  const cut = seen.filter(({ cutMs }) => cutMs !== undefined)
  if (cut.length > 0)
    return flaw(
      'idle-cut',
      `${cut.map(({ what, cutMs = 0 }) => `${what} was cut after ${formatDuration(cutMs / 1000)}`).join('; ')}.`,
    )
  const kept = seen.map(({ what }) => what).join(' and ')
  return kept === ''
    ? note('Nothing could wait.')
    : ok(`After ${formatDuration(longMs / 1000)}, ${kept} is still connected.`)
}

/** With seconds to spare, so that the link outlives the wait. */
function ttlFor(ms: number): number {
  return Math.ceil(ms / 1000) + 30
}

async function waitAsSender(patient: Patient, ms: number): Promise<Idle> {
  const trial = await openTrial(patient, 4, ttlFor(ms))
  const begin = performance.now()
  await trial.bell.until(() => isOver(trial), ms)
  const cutMs = isCut(trial) ? performance.now() - begin : undefined
  trial.reset()
  return { what: 'A sender that waits', cutMs }
}

function isOver({ status, upload }: Trial): boolean {
  return status.end !== undefined || upload.end !== undefined
}

/** A link that has expired is no cut. */
function isCut(trial: Trial): boolean {
  return isOver(trial) && !trial.told().some(({ event }) => event === 'failed')
}

/** A receiver that waits for its sender, as `ess get --wait` does. Needs a link without a sender: a reservation. */
async function waitAsReceiver(patient: Patient, ms: number): Promise<Idle | undefined> {
  const reservation = await reserve(patient, ttlFor(ms)).catch(() => undefined)
  if (reservation === undefined) return undefined // The server gives none.
  const waiting = await patient.ask('GET', patient.at(downloadPath(reservation.id)), { te: 'trailers' })
  const begin = performance.now()
  await waiting.until(() => waiting.end ?? waiting.head, ms)
  const isAnswered = (await waiting.refusal()) !== undefined
  const cutMs =
    waiting.end === undefined && waiting.head === undefined ? undefined : performance.now() - begin
  waiting.reset()
  return { what: 'a receiver that waits', cutMs: isAnswered ? undefined : cutMs }
}
