import { announcesLength, EssError, formatCount, LENGTH_TRAILER } from '../../../shared/index.js'
import type { Asked } from '../ask.js'
import { type Finding, flaw, note, ok, problem } from '../finding.js'
import type { Patient } from '../patient.js'
import { openTrial, type Trial } from '../trial.js'
import { refused, refusedBy } from './server.js'

/** Large enough that a first piece fills no one's patience, small enough to cost nothing. */
const FIRST = 'first half\n'.repeat(200)
const SECOND = 'second half\n'.repeat(200)

/** A whole transfer in chunks, of which one half is held back until the other has arrived. */
export interface Flow {
  /** Where the first half stayed; undefined if it arrived by itself. Without a word from the server it may be either. */
  readonly heldBy: 'request' | 'response' | 'either' | undefined
  /** How the status stream was answered; undefined for nothing. */
  readonly statusCode: number | undefined
  /** True if the first half arrived before the server's word of it could. */
  readonly isSilent: boolean
  readonly download: Asked
  /** The refusal of ESS that the download was answered with. */
  readonly refusal: EssError | undefined
  readonly isWhole: boolean
  /** The sender's verdict: `delivered`, the code of a failure, or undefined for none. */
  readonly verdict: string | undefined
}

const flows = new WeakMap<Patient, Promise<Flow>>()

/** Runs the transfer once for each patient; three checks look at it. */
function flowOf(patient: Patient): Promise<Flow> {
  const running = flows.get(patient) ?? transfer(patient)
  flows.set(patient, running)
  return running
}

async function transfer(patient: Patient, size?: number): Promise<Flow> {
  const trial = await openTrial(patient, size)
  const download = await trial.receive({ te: 'trailers' })
  const isRefused = () =>
    [download, trial.status, trial.upload].some(({ head }) => (head?.statusCode ?? 0) >= 400)
  await trial.bell.until(
    () => isConnected(trial) || download.head !== undefined || isRefused(),
    patient.answerMs,
  )
  trial.upload.write(FIRST)
  const isThere = () => download.text.length >= FIRST.length || download.end !== undefined || isRefused()
  const came = await trial.bell.until(isThere, patient.answerMs)
  // The server counts what it has handed to the receiver's connection.
  const heldBy = came
    ? undefined
    : hasMoved(trial)
      ? 'response'
      : trial.told().length > 0
        ? 'request'
        : 'either'
  const hasWord = () => trial.told().length > 0 || trial.status.end !== undefined || isRefused()
  const isSilent = came === true && !(await trial.bell.until(hasWord, patient.answerMs))
  trial.upload.finish(SECOND)
  await trial.bell.until(() => download.end ?? isRefused(), patient.answerMs)
  const verdict = await trial.verdict()
  const refusal = (await download.refusal()) ?? (await trial.status.refusal()) ?? (await lostUpload(trial))
  const isWhole = download.end === 'whole' && download.text === FIRST + SECOND
  trial.reset()
  return {
    heldBy,
    isSilent,
    statusCode: trial.status.head?.statusCode,
    download,
    refusal,
    isWhole,
    verdict: verdict?.event === 'failed' ? verdict.problem.type.split(':').at(-1) : verdict?.event,
  }
}

/** An upload to a reservation that another server gave. Any other refusal is how the transfer ended. */
async function lostUpload({ upload }: Trial): Promise<EssError | undefined> {
  const refusal = await upload.refusal()
  return refusal?.code === 'not-found' ? refusal : undefined
}

function isConnected(trial: Trial): boolean {
  return trial.told().some(({ event }) => event === 'connected')
}

function hasMoved(trial: Trial): boolean {
  return trial.told().some((event) => event.event === 'progress' && event.bytes > 0)
}

/** Do the bytes of an upload go on as they come, in both directions? */
export async function checkBody(patient: Patient): Promise<Finding> {
  let flow: Flow
  try {
    flow = await flowOf(patient)
  } catch (error) {
    if (!(error instanceof EssError) || error.code !== 'length-required') throw error
    // One of known length is taken; whether it gets through tells what is in front.
    const sized = await transfer(patient, FIRST.length + SECOND.length)
    return sized.isWhole && patient.front !== 'nginx' ? refused(error) : stops()
  }
  const { heldBy, isSilent, isWhole, download, refusal, statusCode } = flow
  if (refusal !== undefined) return refused(refusal)
  if (statusCode !== undefined && statusCode >= 300)
    return problem('request-refused', `The status stream below /uploads/ ${refusedBy(statusCode)}.`)
  if (download.head?.headers['content-encoding'] !== undefined)
    return flaw(
      'compressed',
      `The download came with Content-Encoding: ${download.head.headers['content-encoding']}.`,
    )
  if (isSilent)
    return problem('response-buffered', 'The first half arrived, and no word of it in the status stream.')
  if (heldBy === undefined && download.end !== 'cut')
    return ok('The first half arrived while the second was held back.')
  if (heldBy === 'response')
    return problem('response-buffered', 'The server had passed the first half on, and it did not arrive.')
  if (!isWhole && download.head?.statusCode !== 200)
    return problem(
      'transfer-broken',
      download.head === undefined
        ? 'The download got no answer.'
        : `The download was answered with HTTP ${download.head.statusCode}.`,
    )
  if (!isWhole && patient.way === 'early') return stops()
  // The status stream may be kept back itself.
  if (heldBy === 'either')
    return problem(
      'both-buffered',
      'The first half of the body, and what the server said of it, came too late.',
    )
  return problem('request-buffered', 'The first half of the body arrived only with the second.')
}

function stops(): Finding {
  return problem('body-stops', 'The body is not passed on after the answer has begun.')
}

/** Is a whole transfer told as one, to both sides? */
export async function checkWhole(patient: Patient): Promise<Finding> {
  const { isWhole, verdict, download } = await flowOf(patient)
  if (!isWhole)
    return problem(
      'transfer-broken',
      `The download ended after ${download.text.length} of ${formatCount(FIRST.length + SECOND.length, 'byte')}.`,
    )
  if (verdict === 'delivered') return ok('A whole transfer is told as one, to both sides.')
  return flaw(
    'whole-told-failed',
    `The download came whole, and its sender was told ${verdict ?? 'nothing'}.`,
  )
}

/** Does the length at the end of a download come through? Programs that know it go by it. */
export async function checkTrailer(patient: Patient): Promise<Finding> {
  const { download } = await flowOf(patient)
  const { headers = {}, trailers = {} } = download.head ?? {}
  if (!announcesLength(headers.trailer))
    return note(
      'The length at the end of a download is not asked for on the way; the end itself has to tell.',
    )
  return trailers[LENGTH_TRAILER.toLowerCase()] === String(FIRST.length + SECOND.length)
    ? ok('The length at the end of a download arrives.')
    : note('The length at the end of a download is promised, and does not arrive.')
}
