import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { makeCertificate } from './certificate.js'
import { compilePrograms } from './compile.js'
import { judge, type Lookup } from './goals.js'
import { SCENARIOS, type ScenarioName } from './scenarios.js'
import { SubjectRefused } from './subject-process.js'
import { makeSubjects, type Subject } from './subjects.js'
import { type Measured, printGoals, printScenario } from './table.js'

const root = resolve(import.meta.dirname, '../..')
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    scenario: { type: 'string', multiple: true },
    subject: { type: 'string', multiple: true },
    runs: { type: 'string' },
    'ess-dist': { type: 'string', default: join(root, 'dist') },
  },
})

const scratch = mkdtempSync(join(tmpdir(), 'ess-bench-'))
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))

const sources = join(root, 'bench')
const programs = compilePrograms(join(sources, 'c'), scratch)
const bench = {
  programs,
  certificate: programs.speakTls ? makeCertificate(scratch) : undefined,
  isQuick: options.quick,
}
const parts = {
  programs,
  essDist: resolve(options['ess-dist']),
  sources,
  compiled: import.meta.dirname,
  scratch,
}
const subjects = makeSubjects(parts)
const refused = new Map<string, string>()
const failures: string[] = []
const results: Partial<Record<ScenarioName, Measured>> = {}

for (const [name, scenario] of Object.entries(SCENARIOS) as [ScenarioName, (typeof SCENARIOS)['length']][]) {
  if (scenario === undefined || (options.scenario !== undefined && !options.scenario.includes(name))) continue
  const runs =
    options.runs === undefined ? (bench.isQuick ? scenario.quickRuns : scenario.runs) : Number(options.runs)
  const measured: Measured = new Map()
  results[name] = measured
  for (let run = 0; run < runs; run++) {
    for (const subjectName of scenario.subjects) {
      const subject = subjects.get(subjectName)
      if (subject === undefined || !isWanted(subject)) continue
      try {
        const values = await scenario.run(bench, subject)
        measured.set(subjectName, [...(measured.get(subjectName) ?? []), values])
      } catch (error) {
        if (error instanceof SubjectRefused) refused.set(subjectName, error.message)
        else failures.push(`${name}, ${subjectName}: ${error instanceof Error ? error.message : error}`)
      }
    }
  }
  printScenario(scenario, measured)
}
for (const [name, reason] of refused) console.log(`skipped ${name}: ${reason}`)
for (const failure of failures) console.log(`failed: ${failure}`)
const lookup: Lookup = (scenario, subject, metric) =>
  results[scenario]?.get(subject)?.map((values) => values[metric] ?? Number.NaN)
const judgements = judge(lookup)
printGoals(judgements)
const isBad =
  failures.length > 0 ||
  (bench.isQuick && judgements.some(({ verdict }) => verdict === 'missed, beyond twice'))
process.exitCode = isBad ? 1 : 0

function isWanted({ name }: Subject): boolean {
  return !refused.has(name) && (options.subject === undefined || options.subject.includes(name))
}
