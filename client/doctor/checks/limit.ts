import { formatBytes } from '../../../shared/index.js'
import { type Finding, flaw, note, ok } from '../finding.js'
import type { Patient } from '../patient.js'
import { ANSWER_MS, earlyUrl, uploadFields } from '../trial.js'

/** A length that is asked for where the server has no limit of its own. */
const HUGE = 1e12
/** Limits as proxies have them: nginx 1 MiB, Cloudflare 100 MB, Apache 1 GiB. */
const STEPS = [1e12, 1e11, 1e10, 1e9, 1e8, 1e7, 1e6, 1e5]

/** Does anything on the way limit the size of an upload? No body is sent: its length alone is refused. */
export async function checkLimit(patient: Patient): Promise<Finding> {
  const own = patient.maxUploadBytes
  const most = own === undefined || own === 0 ? HUGE : own
  const words = own ? `The server takes ${formatBytes(own)} at most.` : 'The server has no limit that shows.'
  const first = await declare(patient, most)
  if (first === 'taken')
    return ok(own ? `${words} Nothing on the way takes less.` : `Nothing refuses ${formatBytes(most)}.`)
  if (first === 'too-large') return ok("The server's own limit is the only one.")
  if (first === 'silent')
    return note('An upload of that length got no answer before its body, so a limit can not be told.')
  for (const size of STEPS.filter((step) => step < most))
    if ((await declare(patient, size)) !== 'refused')
      return flaw(
        'body-limit',
        `An upload of more than ${formatBytes(size)} is refused with HTTP 413, and not by ESS.`,
      )
  return flaw(
    'body-limit',
    `An upload of ${formatBytes(STEPS.at(-1) ?? 0)} is refused with HTTP 413, and not by ESS.`,
  )
}

type Taken = 'taken' | 'too-large' | 'refused' | 'silent'

async function declare(patient: Patient, size: number): Promise<Taken> {
  const asked = await patient.ask('POST', earlyUrl(patient), uploadFields(size))
  const head = await asked.answer(ANSWER_MS)
  const refusal = await asked.refusal()
  asked.reset()
  if (head === undefined) return 'silent'
  if (refusal !== undefined) return refusal.code === 'too-large' ? 'too-large' : 'taken'
  return head.statusCode === 413 ? 'refused' : 'taken'
}
