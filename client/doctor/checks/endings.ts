import { announcesLength, LENGTH_TRAILER } from '../../../shared/index.js'
import type { Asked } from '../ask.js'
import { type Finding, flaw, note, ok, problem } from '../finding.js'
import type { Patient } from '../patient.js'
import { openTrial, TRIAL_TTL, type Trial } from '../trial.js'

/** How often another piece is sent. */
const STEP_MS = 100
const PIECE = 'the first piece\n'.repeat(100)

/**
 * Does a broken transfer look broken to its receiver? The most important check: of an upload in chunks and of one with
 * a length, the sender is cut off midway.
 */
export async function checkCuts(patient: Patient): Promise<Finding> {
  const [chunked, sized] = await Promise.all([cutChunked(patient), cutSized(patient)])
  if (sized.download.head?.headers['content-encoding'] !== undefined)
    return flaw(
      'compressed',
      `A download came with Content-Encoding: ${sized.download.head.headers['content-encoding']}.`,
    )
  if (looksWhole(sized.download))
    return flaw('cuts-hidden', 'A download of known length broke off, and ended as if it were whole.')
  if (chunked.download.end === undefined || sized.download.end === undefined)
    return flaw(
      'cuts-hidden',
      `A sender was cut off midway, and its receiver still waits after ${Math.round(patient.answerMs / 100) / 10} s.`,
    )
  if (!looksWhole(chunked.download))
    return chunked.isKnown
      ? note('A broken download looks broken.', 'cuts-passed')
      : ok('A broken download looks broken.')
  if (chunked.isKnown && isDenied(chunked.download))
    return ok('The proxy hides broken downloads, and the server gives them only to programs that can tell.')
  return flaw('cuts-hidden', 'A download in chunks broke off, and ended as if it were whole.')
}

interface Cut {
  readonly download: Asked
  /** True if the server gives a download of unknown length only to those who can tell a cut (--proxy-hides-cuts). */
  readonly isKnown: boolean
}

async function cutChunked(patient: Patient): Promise<Cut> {
  const trial = await openTrial(patient)
  let download = await trial.receive()
  // It is refused at once, or answered with the first byte.
  await trial.bell.until(
    () => download.head ?? trial.told().find(({ event }) => event === 'connected'),
    patient.answerMs,
  )
  const refusal = await download.refusal()
  const isKnown = refusal?.code === 'length-unknown'
  if (isKnown) download = await trial.receive({ te: 'trailers' })
  return { download: await cutMidway(patient, trial, download), isKnown }
}

async function cutSized(patient: Patient): Promise<Cut> {
  // Text, because that is what most proxies compress.
  const trial = await openTrial(patient, PIECE.length * 2, TRIAL_TTL, 'text/plain')
  return {
    download: await cutMidway(patient, trial, await trial.receive({ 'accept-encoding': 'gzip' })),
    isKnown: false,
  }
}

/** Cuts the sender off once its first piece has arrived, and waits for the receiver to hear of it. */
async function cutMidway(patient: Patient, trial: Trial, download: Asked): Promise<Asked> {
  await trial.untilTold('connected')
  trial.upload.write(PIECE)
  await trial.bell.until(() => download.text.length > 0 || download.end, patient.answerMs)
  trial.upload.reset()
  await trial.bell.until(() => download.end, patient.answerMs)
  trial.reset()
  return download
}

/** An answer whose length is not told ends with its connection, so a reset is all that shows a cut. */
function looksWhole(download: Asked): boolean {
  return download.end === 'whole' && download.head?.statusCode === 200
}

/** True if the length at the end was promised, and not given. */
function isDenied({ head }: Asked): boolean {
  return announcesLength(head?.headers.trailer) && head?.trailers[LENGTH_TRAILER.toLowerCase()] === undefined
}

/** Is a sender told when its receiver leaves? */
export async function checkLeaving(patient: Patient): Promise<Finding> {
  const trial = await openTrial(patient)
  const download = await trial.receive({ te: 'trailers' })
  await trial.untilTold('connected')
  trial.upload.write(PIECE)
  await trial.bell.until(() => download.text.length > 0 || download.end, patient.answerMs)
  if (download.text.length === 0) return problem('transfer-broken', 'The first piece did not arrive.')
  download.reset()
  // Some proxies notice only when they have something for the receiver, so bytes go on.
  const isTold = () => trial.told().some(({ event }) => event === 'failed') || trial.status.end !== undefined
  let told = await trial.bell.until(isTold, STEP_MS)
  for (let waitedMs = STEP_MS; told === undefined && waitedMs < patient.answerMs; waitedMs += STEP_MS) {
    trial.upload.write(PIECE)
    told = await trial.bell.until(isTold, STEP_MS)
  }
  if (told !== undefined) {
    trial.reset()
    return ok('A sender is told when its receiver leaves.')
  }
  trial.upload.finish(PIECE)
  const verdict = await trial.verdict()
  trial.reset()
  return flaw(
    'leaving-hidden',
    verdict?.event === 'delivered'
      ? 'A receiver left midway, and its sender was told "delivered".'
      : `A receiver left midway, and its sender was not told within ${Math.round(patient.answerMs / 100) / 10} s.`,
  )
}
