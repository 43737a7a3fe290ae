import type { ScenarioName } from './scenarios.js'
import { median } from './statistics.js'

/** One line of what was promised. */
export interface Goal {
  /** As numbered in the README. */
  readonly criterion: number
  readonly scenario: ScenarioName
  readonly metric: string
  readonly subject: string
  /** Of whose median the subject's is a ratio; without it the subject's own value is judged. */
  readonly against?: string
  readonly atMost?: number
  readonly atLeast?: number
}

const KIB_20 = 20

export const GOALS: readonly Goal[] = [
  goal(1, 'length', 'cpuPerGiB', 'ess-splice', { against: 'c-splice', atMost: 1.25 }),
  goal(1, 'length', 'cpuPerGiB', 'ess-splice', { against: 'piping-server', atMost: 0.18 }),
  goal(1, 'length', 'cpuPerGiB', 'ess-sockets', { against: 'piping-server', atMost: 0.35 }),
  goal(2, 'chunked', 'cpuPerGiB', 'ess-sockets', { against: 'piping-server', atMost: 0.45 }),
  goal(2, 'chunked', 'cpuPerGiB', 'ess-streams', { against: 'piping-server', atMost: 0.65 }),
  goal(2, 'tls', 'cpuPerGiB', 'ess-streams', { against: 'piping-server', atMost: 0.75 }),
  goal(3, 'first-byte', 'p50Us', 'ess', { against: 'piping-server', atMost: 0.45 }),
  goal(3, 'small', 'cpuUs', 'ess', { against: 'piping-server', atMost: 0.5 }),
  goal(4, 'waiting', 'kibPerSocket', 'ess', { atMost: KIB_20 }),
  goal(5, 'fairness', 'jain', 'ess-splice', { atLeast: 0.95 }),
  goal(5, 'fairness', 'jain', 'ess-sockets', { atLeast: 0.9 }),
  goal(5, 'fairness', 'jain', 'ess-streams', { atLeast: 0.9 }),
  goal(5, 'fairness', 'ofOneAlone', 'ess-splice', { atLeast: 0.75 }),
  goal(5, 'fairness', 'ofOneAlone', 'ess-sockets', { atLeast: 0.75 }),
  goal(5, 'fairness', 'ofOneAlone', 'ess-streams', { atLeast: 0.75 }),
]

function goal(
  criterion: number,
  scenario: ScenarioName,
  metric: string,
  subject: string,
  rest: Pick<Goal, 'against' | 'atMost' | 'atLeast'>,
): Goal {
  return { criterion, scenario, metric, subject, ...rest }
}

/** The values of one metric of one subject, a run each. */
export type Lookup = (
  scenario: ScenarioName,
  subject: string,
  metric: string,
) => readonly number[] | undefined

/** `unmeasured` where a subject is missing; `beyond twice` is what fails the quick form. */
export interface Judgement {
  readonly goal: Goal
  readonly measured: number | undefined
  readonly verdict: 'ok' | 'missed' | 'missed, beyond twice' | 'not measured'
}

/** Holds the medians against each goal. */
export function judge(lookup: Lookup): Judgement[] {
  return GOALS.map((goal) => {
    const measured = measure(goal, lookup)
    return { goal, measured, verdict: verdictOf(goal, measured) }
  })
}

function measure({ scenario, metric, subject, against }: Goal, lookup: Lookup): number | undefined {
  const values = lookup(scenario, subject, metric)
  const others = against === undefined ? undefined : lookup(scenario, against, metric)
  if (values === undefined || (against !== undefined && others === undefined)) return undefined
  return median(values) / (others === undefined ? 1 : median(others))
}

function verdictOf({ atMost, atLeast }: Goal, measured: number | undefined): Judgement['verdict'] {
  if (measured === undefined || Number.isNaN(measured)) return 'not measured'
  // How many times the goal: 1 is just met, more is worse, whichever way it points.
  const share = atMost !== undefined ? measured / atMost : (atLeast ?? 0) / measured
  return share <= 1 ? 'ok' : share <= 2 ? 'missed' : 'missed, beyond twice'
}
