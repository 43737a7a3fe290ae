import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readPage } from './helpers/markdown.js'
import { run } from './helpers/run.js'
import { tempDir } from './helpers/temp-dir.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGE = 'docs/scaling.md'

/** `npm run docs:scaling` in `folder`, or with `--check` a look at what it would write. */
async function scalingTables(folder: string, ...args: readonly string[]) {
  const program = [join(ROOT, 'scripts', 'scaling-tables.mjs'), ...args]
  const { code, stdout, stderr } = await (
    await run('scaling-tables', process.execPath, program, { cwd: folder })
  ).ended()
  return { code, stdout: stdout.toString(), stderr }
}

describe(`the tables of ${PAGE}`, () => {
  test('are what the committed results of the bench give', async () => {
    expect(await scalingTables(ROOT, '--check')).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('are not current with another figure, or after another measurement; npm run docs:scaling mends them', async () => {
    const folder = await tempDir()
    await cp(join(ROOT, 'bench', 'results'), join(folder, 'bench', 'results'), { recursive: true })
    await mkdir(join(folder, 'docs'))
    await writeFile(
      join(folder, PAGE),
      (await readPage(PAGE)).replace(/(requests that are carried \| )\d+/, '$199'),
    )
    expect((await scalingTables(folder, '--check')).code).toBe(1)
    expect((await scalingTables(folder)).code).toBe(0)
    expect(await readFile(join(folder, PAGE), 'utf8')).toBe(await readPage(PAGE))
    const results = join(folder, 'bench', 'results', 'nodes.json')
    const measured = JSON.parse(await readFile(results, 'utf8'))
    for (const each of measured.scenarios.nodes['at another node']) each.cpuPerGiB *= 2
    await writeFile(results, JSON.stringify(measured))
    expect((await scalingTables(folder, '--check')).code).toBe(1)
  })

  test('are for nodes that do what the page says', async () => {
    const script = await readPage('scripts/scaling-tables.mjs')
    const [, transfers, waiting, mib] =
      /transfersPerS: (\d+), waiting: (\d+), mibPerS: (\d+)/.exec(script) ?? []
    expect((await readPage(PAGE)).replaceAll(',', '')).toContain(
      `take ${transfers} transfers a second by \`ess\` hold ${waiting} waiting senders and deliver ${mib} MiB a second`,
    )
  })

  test('stand beside what a server alone took', async () => {
    const { scenarios } = JSON.parse(await readPage('bench/results/full.json'))
    const runs: readonly { readonly p50Us: number }[] = scenarios['first-byte'].ess
    const middle = runs.map(({ p50Us }) => p50Us).sort((a, b) => a - b)[Math.floor(runs.length / 2)]
    expect(await readPage(PAGE)).toContain(`alone took ${middle?.toFixed(0)} µs`)
  })

  test('reckon with the times that the code has', async () => {
    const script = await readPage('scripts/scaling-tables.mjs')
    const numberIn = (text: string, name: string) =>
      Number(new RegExp(`\\b${name}\\b[^\\d\\n]*([\\d_]+)`).exec(text)?.[1]?.replaceAll('_', ''))
    const redis = await readPage('server/locator/redis.ts')
    const locator = await readPage('server/locator/locator.ts')
    const link = await readPage('server/locator/redis-link.ts')
    expect(numberIn(redis, 'RENEWAL_MS')).toBe(1000 * numberIn(script, 'RENEWAL_S'))
    expect(numberIn(locator, 'TOMBSTONE_SECONDS')).toBe(numberIn(script, 'TOMBSTONE_S'))
    expect(numberIn(link, 'well')).toBe(1000 * numberIn(script, 'BEAT_S'))
  })
})
