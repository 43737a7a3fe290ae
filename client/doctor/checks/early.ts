import { EssError, formatCount, isSocketId, type OpenedEvent } from '../../../shared/index.js'
import { type Finding, flaw, ok, problem } from '../finding.js'
import type { Patient } from '../patient.js'
import { earlyUrl, openedIn, rebased, reserve, uploadFields } from '../trial.js'
import { refused } from './server.js'

const BODY = 'ess!'
/** Refusals that say by themselves what is wrong. */
const OTHERS: readonly string[] = ['bad-referer', 'over-share', 'unauthorized']
const RESERVES = ok('Not here: the server wants a reservation first, and ess makes one.')

/**
 * Does an answer come before the body? If none does, or the server was told to give none, the trials that follow go by
 * reservations.
 */
export async function checkEarly(patient: Patient): Promise<Finding> {
  const asked = await patient.ask('POST', earlyUrl(patient), uploadFields(BODY.length))
  const head = await asked.answer(patient.answerMs)
  if (head === undefined && asked.end === undefined) {
    // With its body the same request is answered, unless something else is wrong.
    asked.finish(BODY)
    const late = await asked.answer(patient.answerMs / 2)
    const refusal = await asked.refusal()
    if (refusal?.code === 'reservation-required') {
      asked.reset()
      return await byReservation(patient, RESERVES)
    }
    if (refusal !== undefined) return refused(refusal)
    if (late?.statusCode === 413)
      return problem(
        'body-limit',
        `An upload of ${formatCount(BODY.length, 'byte')} is refused with HTTP 413.`,
      )
    const opened = await openedIn(asked, patient.answerMs / 4)
    if (opened !== undefined) remember(patient, opened)
    const seen = opened === undefined ? 'None came.' : 'It came only after the body.'
    asked.reset()
    return await byReservation(patient, flaw('no-early-response', `No answer came before the body. ${seen}`))
  }
  if (head?.statusCode === 201) {
    const opened = await openedIn(asked, patient.answerMs)
    asked.reset()
    if (opened === undefined)
      return await byReservation(
        patient,
        flaw('response-buffered', 'The answer began, but its link did not come.'),
      )
    remember(patient, opened)
    return ok('The link comes before the body.')
  }
  const refusal = await asked.refusal()
  asked.reset()
  if (refusal?.code === 'reservation-required') return await byReservation(patient, RESERVES)
  if (refusal !== undefined) return refused(refusal)
  return problem(
    'transfer-broken',
    head === undefined
      ? 'The connection was cut before an answer.'
      : `An upload was answered with HTTP ${head.statusCode}.`,
  )
}

function remember(patient: Patient, opened: OpenedEvent): void {
  if (opened.upload !== undefined) patient.remember(rebased(patient, opened.upload).href)
  patient.link = { id: opened.id, url: opened.url }
  patient.maxUploadBytes = opened.maxUploadBytes
}

/** Goes on by reservations, and gives `finding` if the server has them. */
async function byReservation(patient: Patient, finding: Finding): Promise<Finding> {
  patient.way = 'reserved'
  try {
    const { id, url } = await reserve(patient)
    if (isSocketId(id)) patient.link ??= { id, url }
    return finding
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    if (OTHERS.includes(error.code)) return refused(error)
    // Nothing else can be tried.
    return finding.cause === undefined
      ? problem('no-reservations', `The server wants a reservation, and gives none: ${error.message}`)
      : problem(finding.cause, finding.words)
  }
}
