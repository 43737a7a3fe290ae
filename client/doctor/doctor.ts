import { lookup } from 'node:dns/promises'
import { setMaxListeners } from 'node:events'
import { EssError, withoutUserinfo } from '../../shared/index.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import { CAUSES, type CauseName } from './causes.js'
import { refused } from './checks/server.js'
import { type Finding, flaw, type Verdict } from './finding.js'
import { credentials, type Lookup, Patient } from './patient.js'
import { type Remedy, remediesOf } from './remedies.js'
import { CHECKS, type Check } from './table.js'

/** How long `--long` waits: most proxies cut what is idle after one minute, and nearly all of them within five. */
export const LONG_MS = 310_000

export interface ExamineOptions {
  readonly token?: string | undefined
  /** Aborting it ends the examination with `interrupted`. */
  readonly signal: AbortSignal
  /** How long to wait for an idle connection to be cut; undefined leaves that check out. */
  readonly longMs?: number | undefined
  /** Default: the system's. */
  readonly lookup?: Lookup
}

/** One line of the report. */
export interface Line {
  readonly check: string
  readonly verdict: Verdict
  readonly words: string
  readonly cause: CauseName | undefined
  /** The cause in plain words. */
  readonly why: string | undefined
  readonly mend: readonly Remedy[]
}

/**
 * Makes every check of a server, and gives a line for each in the order of the table, as soon as it and those before
 * it are made. Nothing of it stays on the server.
 */
export async function* examine(server: string, options: ExamineOptions): AsyncGenerator<Line> {
  // Throws for credentials that can't be sent, before anything is.
  credentials(new URL(server), server, options.token)
  const ending = new AbortController()
  const patient = new Patient(new URL(server), {
    token: options.token,
    signal: AbortSignal.any([options.signal, ending.signal]),
    lookup: options.lookup ?? lookup,
    longMs: options.longMs,
  })
  // One listener for each connection, and there are more than the ten that Node finds suspicious.
  setMaxListeners(0, patient.signal)
  const findings = new Map<string, Promise<Finding>>()
  for (const check of CHECKS) {
    const finding = make(check, patient, findings)
    // The loop below meets the first failure; a bug needs to be told only once.
    finding.catch(() => {})
    findings.set(check.name, finding)
  }
  const { promise: stopped, resolve: stop } = withResolvers<undefined>()
  const onAbort = () => stop(undefined)
  options.signal.addEventListener('abort', onAbort, { once: true })
  let isLimitTold = false
  try {
    for (const { name } of CHECKS) {
      const finding = await Promise.race([findings.get(name), stopped])
      if (options.signal.aborted)
        throw new EssError(
          'interrupted',
          'Stopped before the last check. Run ess doctor again for all of them.',
        )
      if (finding === undefined) continue
      const told = unlimited(finding, patient, isLimitTold)
      isLimitTold ||= told.cause === 'proxy-limits'
      yield lineOf(name, told, patient)
    }
  } finally {
    options.signal.removeEventListener('abort', onAbort)
    if (!options.signal.aborted) await patient.leave()
    ending.abort()
  }
}

async function make(
  check: Check,
  patient: Patient,
  findings: ReadonlyMap<string, Promise<Finding>>,
): Promise<Finding> {
  for (const need of check.needs) {
    const needed = await findings.get(need)
    const stops = needed?.verdict === 'problem' && needed.goesOn !== true
    if (stops || needed?.verdict === 'skipped') return { verdict: 'skipped', words: '' }
  }
  try {
    return luckless(await check.make(patient), patient)
  } catch (error) {
    if (patient.signal.aborted) return { verdict: 'skipped', words: '' }
    if (!(error instanceof EssError)) throw error
    return luckless(refused(error), patient)
  }
}

/** What a request that a proxy's own limit has refused may look like. */
const BY_LIMIT: readonly (CauseName | undefined)[] = [
  'body-limit',
  'both-buffered',
  'cuts-hidden',
  'errors-replaced',
  'http2-broken',
  'leaving-hidden',
  'no-early-response',
  'no-reservations',
  'ranges-changed',
  'request-buffered',
  'request-refused',
  'transfer-broken',
  'whole-told-failed',
]

/** The limit in place of what it looks like; `isTold` says that a line has it already. */
function unlimited(finding: Finding, { throttled }: Patient, isTold: boolean): Finding {
  if (throttled === undefined || !BY_LIMIT.includes(finding.cause)) return finding
  if (isTold) return { verdict: 'skipped', words: '' }
  return flaw('proxy-limits', `Some requests were refused with HTTP ${throttled}, and not by ESS.`)
}

/** What haproxy in mode http does at times, when it has been named for that mode already. */
const BY_LUCK: readonly (CauseName | undefined)[] = ['transfer-broken', 'whole-told-failed']

/** Another run may see something else, so it is no finding of its own. */
function luckless(finding: Finding, { front }: Patient): Finding {
  if (front !== 'haproxy' || !BY_LUCK.includes(finding.cause)) return finding
  return { verdict: 'skipped', words: `${finding.words} haproxy in mode http does this at times.` }
}

function lineOf(check: string, { verdict, words, cause }: Finding, patient: Patient): Line {
  // Before there is an answer, any of them may be in front.
  const front = patient.firstHead === undefined ? undefined : patient.front
  return {
    check,
    verdict,
    words,
    cause,
    why: cause === undefined ? undefined : CAUSES[cause].words,
    mend:
      cause === undefined
        ? []
        : remediesOf(cause, front, withoutUserinfo(patient.server.href).replace(/\/+$/, '')),
  }
}
