import { EssError, formatBytes } from '../../../shared/index.js'
import type { Asked } from '../ask.js'
import { type Finding, flaw, note, ok } from '../finding.js'
import type { Patient } from '../patient.js'
import { earlyUrl, reserve, uploadFields } from '../trial.js'
import { refusedBy } from './server.js'

/** A length that is asked for where the server has no limit of its own. */
const HUGE = 1e12
/** Limits as proxies have them: nginx 1 MiB, Cloudflare 100 MB, Apache 1 GiB. */
const STEPS = [1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12]

/** Does anything on the way limit the size of an upload? No body is sent: its length alone is refused. */
export async function checkLimit(patient: Patient): Promise<Finding> {
  const own = patient.maxUploadBytes
  const most = own === undefined || own === 0 ? HUGE : own
  const first = await declare(patient, most)
  let last = first
  if (first === 'too-large') return ok("The server's own limit is the only one.")
  if (first === 'silent')
    return note('An upload of that length got no answer before its body, so a limit would not show.')
  if (first === 'taken')
    return own
      ? ok(`The server takes ${formatBytes(own)} at most, and nothing on the way takes less.`)
      : ok(`Nothing refuses ${formatBytes(most)}.`)
  // Between the largest step that is taken and the next one.
  let [low, high] = [-1, STEPS.findLastIndex((step) => step < most) + 1]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const taken = await declare(patient, STEPS[middle] ?? most)
    if (isRefused(taken)) {
      high = middle
      last = taken
    } else low = middle
  }
  const size =
    low === -1 ? `${formatBytes(STEPS[0] ?? 0)} or less` : `more than ${formatBytes(STEPS[low] ?? 0)}`
  return flaw('body-limit', `An upload of ${size} ${refusedBy(isRefused(last) ? last.refused : undefined)}.`)
}

/** `refused` has the status of a refusal that is not of ESS; undefined if the connection was cut. */
type Taken = 'taken' | 'too-large' | 'silent' | { readonly refused: number | undefined }

function isRefused(taken: Taken): taken is Exclude<Taken, string> {
  return typeof taken !== 'string'
}

async function declare(patient: Patient, size: number): Promise<Taken> {
  const asked = await upload(patient, size)
  const head = await asked.answer(patient.answerMs / 2)
  const refusal = await asked.refusal()
  const isCut = asked.end === 'cut'
  asked.reset()
  // An upload to a reservation is answered at its end: there, silence says that it is taken.
  if (head === undefined && isCut) return { refused: undefined }
  if (head === undefined) return patient.way === 'reserved' ? 'taken' : 'silent'
  if (refusal instanceof EssError) return refusal.code === 'too-large' ? 'too-large' : 'taken'
  return head.statusCode === 201 ? 'taken' : { refused: head.statusCode }
}

async function upload(patient: Patient, size: number): Promise<Asked> {
  // With Expect, a proxy may leave the length to the server to judge.
  const { expect: _, ...fields } = uploadFields(size)
  if (patient.way === 'early') return await patient.ask('POST', earlyUrl(patient), fields)
  const { upload } = await reserve(patient)
  return await patient.ask('PUT', upload, fields)
}
