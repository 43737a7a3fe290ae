import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { drawChart } from './chart.js'
import { isFarOff, isJudged, type Judgement, judge, type Lookup, subjectsOf } from './goals.js'
import { describeMachine } from './machine.js'
import { describeWaiting } from './runs/waiting.js'
import type { Scenario } from './scenario.js'
import { SCENARIOS, type ScenarioName } from './scenarios.js'
import { ROOT, SOURCES, setUp } from './set-up.js'
import { SubjectRefused } from './subject-process.js'
import { GEARS } from './subjects.js'
import { type Measured, printGoals, printScenario } from './table.js'
import { isTcpMemoryFree } from './tcp-memory.js'

const OWN_DIST = join(ROOT, 'dist')
const RESULTS = join(SOURCES, 'results')
const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    scenario: { type: 'string', multiple: true },
    subject: { type: 'string', multiple: true },
    runs: { type: 'string' },
    results: { type: 'string' },
    'ess-dist': { type: 'string', default: OWN_DIST },
  },
})
/** One is enough to see what is beyond twice its goal. What only looks so has a second look. */
const QUICK_RUNS = 1
/** How many times as many runs a second look has. */
const SECOND_LOOK = 3
const isPartial = flags.scenario !== undefined || flags.subject !== undefined
const isOwnBuild = flags['ess-dist'] === OWN_DIST

const { bench, subjects } = setUp({ essDist: resolve(flags['ess-dist']), isQuick: flags.quick })
/** Why a subject is left out, once it would not start. */
const refused = new Map<string, string>()
const failures: { readonly isOurs: boolean; readonly words: string }[] = []
const results = new Map<ScenarioName, Measured>()

mkdirSync(RESULTS, { recursive: true })
const machine = describeMachine(ROOT, SOURCES)
console.log(
  `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.versions['node']}`,
)
for (const name of scenarioNames()) {
  const scenario: Scenario = SCENARIOS[name]
  if (scenario.needsTls && bench.certificate === undefined) {
    console.log(`\nskipped ${name}: the load was built without TLS (libssl-dev is missing)`)
    continue
  }
  const measured = await measureScenario(name, scenario)
  results.set(name, measured)
  if (measured.size > 0) printScenario(scenario, measured)
  if (name === 'waiting' && measured.size > 0) console.log(`  ${describeWaiting(bench)}`)
  // Half an hour is long: a run that is cut short leaves what it has.
  writeJson('unfinished', measuredSoFar())
}
const measuredOnce = judge(lookup)
const judgements = flags.quick ? await withSecondLook(measuredOnce) : measuredOnce
for (const [name, reason] of refused) console.log(`\nskipped ${name}: ${reason}`)
for (const { words } of failures) console.log(`\nfailed: ${words}`)
printGoals(judgements.filter(({ goal }) => flags.scenario?.includes(goal.scenario) ?? true))
writeResults()

if (failures.some(({ isOurs }) => isOurs) || (bench.isQuick && judgements.some(isFarOff)))
  process.exitCode = 1

function scenarioNames(): ScenarioName[] {
  // The keys of a literal.
  const names = Object.keys(SCENARIOS) as ScenarioName[]
  const unknown = flags.scenario?.find((name) => !Object.hasOwn(SCENARIOS, name))
  if (unknown !== undefined) throw new Error(`Expected one of ${names.join(', ')}, got ${unknown}`)
  if (flags.scenario !== undefined) return names.filter((name) => flags.scenario?.includes(name))
  return flags.quick
    ? names.filter((name) => SCENARIOS[name].subjects.some((each) => isJudged(name, each)))
    : names
}

/** Every subject in turn, and all of it again as often as there are runs: A B A B. */
async function measureScenario(
  name: ScenarioName,
  scenario: Scenario,
  isMeant: (subject: string) => boolean = () => true,
  timesAsMany = 1,
): Promise<Measured> {
  const measured: Measured = new Map()
  const runs = timesAsMany * Number(flags.runs ?? (flags.quick ? QUICK_RUNS : scenario.runs))
  for (let run = 0; run < runs; run++) {
    for (const subjectName of scenario.subjects) {
      if (!isWanted(name, subjectName) || !isMeant(subjectName)) continue
      if (process.stderr.isTTY) process.stderr.write(`${name}, run ${run + 1} of ${runs}: ${subjectName}\n`)
      const numbers = await measureOnce(name, scenario, subjectName)
      if (numbers !== undefined) measured.set(subjectName, [...(measured.get(subjectName) ?? []), numbers])
    }
  }
  return measured
}

/**
 * Another's busy minute can look like a fault of ours. So what is beyond twice its goal is measured once more, in more
 * runs than before, together with what it is compared with, and judged by that alone. A failed transfer has no second
 * chance.
 */
async function withSecondLook(judgements: readonly Judgement[]): Promise<readonly Judgement[]> {
  const doubtful = judgements.filter(isFarOff).map(({ goal }) => goal)
  for (const name of new Set(doubtful.map(({ scenario }) => scenario))) {
    const scenario: Scenario = SCENARIOS[name]
    const subjects = doubtful.flatMap((goal) => (goal.scenario === name ? subjectsOf(goal) : []))
    console.log(
      `\n${name}: beyond twice a goal, and so measured once more: ${[...new Set(subjects)].join(', ')}`,
    )
    const again = await measureScenario(name, scenario, (subject) => subjects.includes(subject), SECOND_LOOK)
    results.set(name, new Map([...(results.get(name) ?? []), ...again]))
    if (again.size > 0) printScenario(scenario, again)
  }
  const second = judge(lookup)
  return judgements.map((first, at) => {
    const again = second[at]
    // The others keep theirs: what they are compared with may be of another minute by now.
    return isFarOff(first) && again !== undefined && again.verdict !== 'not measured' ? again : first
  })
}

/** Undefined where the subject is left out; no numbers where it failed, so that the runs stay in step. */
async function measureOnce(name: ScenarioName, scenario: Scenario, subjectName: string) {
  const subject = subjects.get(subjectName)
  if (subject === undefined) throw new Error(`Expected a subject, got ${subjectName}`)
  if (scenario.needsTcpMemory && !(await isTcpMemoryFree())) {
    console.log(
      `\n${name}, ${subjectName}: others hold much of the kernel's TCP memory; do not rely on this run`,
    )
  }
  try {
    return await scenario.run(bench, subject)
  } catch (error) {
    if (error instanceof SubjectRefused) {
      refused.set(subjectName, error.message)
      // On a desk a gear may be missing; where everything is there, it is a fault.
      if (subject.isOurs && process.env['CI'] === 'true') {
        failures.push({ isOurs: true, words: `${name}, ${subjectName} would not start: ${error.message}` })
      }
      return undefined
    }
    const words = `${name}, ${subjectName}: ${error instanceof Error ? error.message : error}`
    failures.push({ isOurs: subject.isOurs, words })
    return {}
  }
}

function isWanted(scenario: ScenarioName, subject: string): boolean {
  if (refused.has(subject)) return false
  if (flags.subject !== undefined) return flags.subject.includes(subject)
  return !flags.quick || flags.scenario !== undefined || isJudged(scenario, subject)
}

function lookup(...[scenario, subject, metric]: Parameters<Lookup>): ReturnType<Lookup> {
  return results
    .get(scenario)
    ?.get(subject)
    ?.map((numbers) => numbers[metric] ?? Number.NaN)
}

/** A whole run is what the README shows; any other goes beside it, where git does not look, unless it has a name. */
function writeResults(): void {
  const name = flags.results ?? (isPartial || !isOwnBuild ? 'partial' : flags.quick ? 'quick' : 'full')
  const goals = judgements.filter(({ verdict }) => flags.results === undefined || verdict !== 'not measured')
  writeJson(name, { ...measuredSoFar(), goals })
  rmSync(join(RESULTS, 'unfinished.json'))
  const drawn = (['length', 'chunked', 'small', 'first-byte'] as const).flatMap((scenario) => {
    const measured = results.get(scenario)
    if (measured === undefined || measured.size === 0) return []
    return [{ scenario: SCENARIOS[scenario], measured: withoutDoubles(measured) }]
  })
  const runs = Math.min(
    ...drawn.flatMap(({ measured }) => [...measured.values()].map(({ length }) => length)),
  )
  const caption = `Less is better; medians of ${runs} runs or more. ${machine.cpu}, ${machine.cores} cores, Node ${machine.versions['node']}, Linux ${machine.kernel}`
  if (drawn.length > 0) writeFileSync(join(RESULTS, `${name}.svg`), drawChart(drawn, caption))
  console.log(`\nwritten: bench/results/${name}.json${drawn.length > 0 ? `, ${name}.svg` : ''}`)
}

function measuredSoFar() {
  const scenarios = Object.fromEntries(
    [...results].map(([scenario, measured]) => [scenario, Object.fromEntries(measured)]),
  )
  // Without the reasons, which may name paths.
  return { machine, scenarios, skipped: [...refused.keys()] }
}

function writeJson(name: string, content: object): void {
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(content, undefined, 2)}\n`)
}

/** `ess` as it comes is one of its gears: where all of them were measured, it is not drawn again. */
function withoutDoubles(measured: Measured): Measured {
  const hasGears = GEARS.every((gear) => measured.has(`ess-${gear}`))
  return new Map([...measured].filter(([subject]) => !hasGears || subject !== 'ess'))
}
