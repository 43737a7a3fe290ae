import type { Goal, Judgement } from './goals.js'
import type { Scenario } from './scenario.js'
import { isThere, median, pairRatios } from './statistics.js'

/** By subject: the numbers of each run; none where it failed. */
export type Measured = Map<string, readonly Readonly<Record<string, number>>[]>

/** Prints what each subject took, with the ratio of its first number to the reference's, pair by pair. */
export function printScenario({ title, metrics, reference }: Scenario, measured: Measured): void {
  const columns = Object.entries(metrics)
  const first = columns[0]?.[0] ?? ''
  const others = column(measured, reference, first)
  const head = [
    '',
    ...columns.flatMap(([, metric]) => [metric.title, 'min - max']),
    `by ${reference}'s`,
    'min - max',
  ]
  const rows = [...measured.keys()].map((subject) => {
    const ratios = pairRatios(column(measured, subject, first), others)
    return [
      subject,
      ...columns.flatMap(([key, { digits }]) => spread(column(measured, subject, key), digits)),
      ...(ratios.length === 0 ? ['', ''] : spread(ratios, 2)),
    ]
  })
  const runs = Math.max(0, ...[...measured.values()].map((values) => values.length))
  console.log(`\n${title} (medians of ${runs} runs)`)
  printRows([head, ...rows])
}

/** Prints each promise, what was measured, and whether it was kept. */
export function printGoals(judgements: readonly Judgement[]): void {
  console.log('\nGoals')
  printRows([
    ['', 'measured', 'min - max', 'goal', ''],
    ...judgements.map(({ goal, measured, runs, verdict }) => [
      `${goal.number}. ${describeGoal(goal)}`,
      measured === undefined ? '' : measured.toFixed(2),
      runs.length === 0 ? '' : spread(runs, 2)[1],
      goal.atMost === undefined ? `>= ${goal.atLeast}` : `<= ${goal.atMost}`,
      verdict,
    ]),
  ])
}

function describeGoal({ scenario, metric, subject, beyond, against }: Goal): string {
  const more = beyond === undefined ? '' : ` beyond ${beyond}`
  return `${scenario}: ${metric} of ${subject}${more}${against === undefined ? '' : ` by ${against}`}`
}

function column(measured: Measured, subject: string, key: string): number[] {
  return (measured.get(subject) ?? []).map((values) => values[key] ?? Number.NaN)
}

function spread(values: readonly number[], digits: number): [string, string] {
  const there = values.filter(isThere)
  if (there.length === 0) return ['-', '-']
  const say = (value: number) => value.toFixed(digits)
  return [say(median(there)), `${say(Math.min(...there))} - ${say(Math.max(...there))}`]
}

/** Prints cells in columns: the first to the left, the others to the right. */
export function printRows(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  for (const row of rows) {
    const cells = row.map((cell, at) =>
      at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
    )
    console.log(`  ${cells.join('  ')}`.trimEnd())
  }
}
