import { AT_ANOTHER_NODE, AT_ONE_NODE } from './placements.js'
import type { ScenarioName } from './scenarios.js'
import { median, pairRatios } from './statistics.js'

/** One line of what was promised. */
export interface Goal {
  /** Its number in the README's list. */
  readonly number: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10
  readonly scenario: ScenarioName
  readonly metric: string
  readonly subject: string
  /** Whose median is taken off the subject's first: what counts is the difference. */
  readonly beyond?: string
  /** Of whose median the subject's is a ratio; without it the subject's own value is judged. */
  readonly against?: string
  readonly atMost?: number
  readonly atLeast?: number
}

export const GOALS: readonly Goal[] = [
  goal(1, 'length', 'cpuPerGiB', 'ess-splice', { against: 'c-splice', atMost: 1.25 }),
  goal(1, 'length', 'cpuPerGiB', 'ess-splice', { against: 'piping-server', atMost: 0.18 }),
  goal(1, 'length', 'cpuPerGiB', 'ess-sockets', { against: 'piping-server', atMost: 0.35 }),
  goal(2, 'chunked', 'cpuPerGiB', 'ess-sockets', { against: 'piping-server', atMost: 0.45 }),
  goal(2, 'chunked', 'cpuPerGiB', 'ess-streams', { against: 'piping-server', atMost: 0.65 }),
  goal(2, 'tls', 'cpuPerGiB', 'ess', { against: 'piping-server', atMost: 0.75 }),
  goal(3, 'first-byte', 'p50Us', 'ess', { against: 'piping-server', atMost: 0.45 }),
  goal(3, 'small', 'cpuUs', 'ess', { against: 'piping-server', atMost: 0.5 }),
  goal(4, 'waiting', 'kibPerSocket', 'ess', { atMost: 20 }),
  goal(5, 'fairness', 'jain', 'ess-splice', { atLeast: 0.95 }),
  goal(5, 'fairness', 'jain', 'ess-sockets', { atLeast: 0.9 }),
  goal(5, 'fairness', 'jain', 'ess-streams', { atLeast: 0.9 }),
  goal(5, 'fairness', 'ofOneAlone', 'ess-splice', { atLeast: 0.75 }),
  goal(5, 'fairness', 'ofOneAlone', 'ess-sockets', { atLeast: 0.75 }),
  goal(5, 'fairness', 'ofOneAlone', 'ess-streams', { atLeast: 0.75 }),
  goal(6, 'clients', 'sendCpuPerGiB', 'ess to curl', { against: 'curl to curl', atMost: 1.3 }),
  goal(6, 'clients', 'getCpuPerGiB', 'curl to ess', { against: 'curl to curl', atMost: 1.3 }),
  goal(7, 'start', 'linkMs', 'ess send', { against: 'node -e 0', atMost: 3 }),
  goal(8, 'sealed', 'sendCpuPerGiB', 'ess -e', { beyond: 'ess', against: 'node:crypto', atMost: 1.4 }),
  goal(8, 'sealed', 'getCpuPerGiB', 'ess -e', { beyond: 'ess', against: 'node:crypto', atMost: 1.4 }),
  goal(8, 'sealed', 'gibPerS', 'ess -e', { against: 'ess', atLeast: 0.45 }),
  goal(8, 'sealed', 'gibPerS', 'ess -e', { against: 'typage', atLeast: 5 }),
  goal(8, 'sealed', 'sendGrownMiB', 'ess -e', { atMost: 32 }),
  goal(8, 'sealed', 'getGrownMiB', 'ess -e', { atMost: 32 }),
  goal(9, 'workers', 'gibPerS', 'ess-2-workers', { against: 'ess', atLeast: 1.1 }),
  goal(9, 'workers', 'leastShare', 'ess-2-workers', { atLeast: 0.35 }),
  goal(10, 'nodes', 'cpuPerGiB', AT_ANOTHER_NODE, { against: AT_ONE_NODE, atMost: 2.2 }),
]

function goal(
  number: Goal['number'],
  scenario: ScenarioName,
  metric: string,
  subject: string,
  rest: Pick<Goal, 'beyond' | 'against' | 'atMost' | 'atLeast'>,
): Goal {
  return { number, scenario, metric, subject, ...rest }
}

/** The values of one metric of one subject, a run each. */
export type Lookup = (
  scenario: ScenarioName,
  subject: string,
  metric: string,
) => readonly number[] | undefined

/** Whether a goal needs this subject in this scenario: the quick form measures nothing else. */
export function isJudged(name: ScenarioName, subjectName: string): boolean {
  return GOALS.some((goal) => goal.scenario === name && subjectsOf(goal).includes(subjectName))
}

/** The subject, and all that it is compared with. */
export function subjectsOf({ subject, beyond, against }: Goal): string[] {
  return [subject, beyond, against].filter((name) => name !== undefined)
}

/** One goal and what came of it; `missed, beyond twice` is what fails the quick form. */
export interface Judgement {
  readonly goal: Goal
  /** The median, or the ratio of two medians. */
  readonly measured: number | undefined
  /** The same in each run by itself: the value, or the ratio of the pair. */
  readonly runs: readonly number[]
  readonly verdict: 'ok' | 'missed' | 'missed, beyond twice' | 'not measured'
}

/** True for what fails the quick form. */
export function isFarOff({ verdict }: Judgement): boolean {
  return verdict === 'missed, beyond twice'
}

/** Holds what was measured against each goal. */
export function judge(lookup: Lookup): Judgement[] {
  return GOALS.map((goal) => {
    const [values, less, by] = [goal.subject, goal.beyond, goal.against].map((subject) =>
      subject === undefined ? undefined : (lookup(goal.scenario, subject, goal.metric) ?? []),
    )
    const measured = ((middle(values) ?? 0) - (middle(less) ?? 0)) / (middle(by) ?? 1)
    if (Number.isNaN(measured)) return { goal, measured: undefined, runs: [], verdict: 'not measured' }
    const own = (values ?? []).map((value, run) =>
      less === undefined ? value : value - (less[run] ?? Number.NaN),
    )
    return {
      goal,
      measured,
      runs: by === undefined ? own : pairRatios(own, by),
      verdict: verdictOf(goal, measured),
    }
  })
}

/** NaN where all of it failed, or nothing was measured; undefined where there is nothing to measure. */
function middle(values: readonly number[] | undefined): number | undefined {
  return values && median(values)
}

function verdictOf({ atMost, atLeast }: Goal, measured: number): Judgement['verdict'] {
  // How many times the goal: 1 is just met, more is worse, whichever way it points.
  const share = atMost !== undefined ? measured / atMost : (atLeast ?? 0) / measured
  return share <= 1 ? 'ok' : share <= 2 ? 'missed' : 'missed, beyond twice'
}
