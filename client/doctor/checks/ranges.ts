import { PROBLEM_MEDIA_TYPE } from '../../../shared/index.js'
import { type Finding, flaw, ok } from '../finding.js'
import type { Patient } from '../patient.js'
import { openTrial } from '../trial.js'
import { refused } from './server.js'

/** Does the refusal of a part come through? Anything else is a cache, and would use links up. */
export async function checkRanges(patient: Patient): Promise<Finding> {
  const trial = await openTrial(patient, 8)
  const asked = await trial.receive({ range: 'bytes=4-', accept: PROBLEM_MEDIA_TYPE })
  // Where the part is taken for the whole, the sender is told that a receiver has come.
  await trial.bell.until(
    () => asked.head ?? trial.told().find(({ event }) => event === 'connected'),
    patient.answerMs,
  )
  const refusal = await asked.refusal()
  const status = asked.head?.statusCode
  trial.reset()
  asked.reset()
  if (refusal?.code === 'whole-only') return ok('A request for a part is refused, as it should be.')
  // It is ESS that answers, so nothing has meddled with the range.
  if (refusal !== undefined) return refused(refusal)
  return flaw(
    'ranges-changed',
    `A request for a part got ${status === undefined ? 'the whole' : `HTTP ${status}`}, and not the refusal of ESS.`,
  )
}
