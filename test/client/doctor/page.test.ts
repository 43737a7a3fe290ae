import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../../client/cli/commands.js'
import { CAUSES, type Cause, FRONTS } from '../../../client/doctor/causes.js'
import { remediesOf } from '../../../client/doctor/remedies.js'
import { CHECKS } from '../../../client/doctor/table.js'
import { EXIT_STATUS } from '../../../shared/index.js'
import { readPage } from '../../helpers/markdown.js'
import { run } from '../../helpers/run.js'
import { ESS_SERVER } from '../../helpers/start-server.js'
import { tempDir } from '../../helpers/temp-dir.js'

const SCRIPT = fileURLToPath(new URL('../../../scripts/doctor-causes.mjs', import.meta.url))

async function runScript(...args: string[]): Promise<number | null> {
  const { code, stderr } = await (await run('doctor-causes', process.execPath, [SCRIPT, ...args])).ended()
  expect(stderr).toBe('')
  return code
}

test('docs/doctor.md has the checks and the causes of the code', async () => {
  expect(await runScript('--check'), 'node scripts/doctor-causes.mjs writes them').toBe(0)
})

test('a row that the code does not have is noticed, and written as it should be', async () => {
  const doctor = await readPage('docs/doctor.md')
  const page = join(await tempDir(), 'doctor.md')
  for (const wrong of [
    doctor
      .replace('client_max_body_size 0;` |', 'client_max_body_size 1;` |')
      .replace('Is it ESS?', 'Is it?'),
    doctor.replace(/^\| `clock-off`.*\n/m, ''),
  ]) {
    expect(wrong).not.toBe(doctor)
    await writeFile(page, wrong)
    expect(await runScript('--check', page)).toBe(1)
    expect(await runScript(page)).toBe(0)
    expect(await readFile(page, 'utf8')).toBe(doctor)
  }
})

test('docs/doctor.md has every exit status', async () => {
  const [sentence = ''] = /^The exit status is .*$/m.exec(await readPage('docs/doctor.md')) ?? []
  const documented = (sentence.match(/\d+/g) ?? []).map(Number).sort()
  // A bug's status is the same for every command.
  const { bug, ...exits } = COMMANDS.doctor.exits
  expect(bug).toBeTruthy()
  // Object.keys forgets what the keys are.
  const statuses = (Object.keys(exits) as (keyof typeof exits)[]).map((key) => EXIT_STATUS[key])
  expect(documented).toEqual(statuses.sort())
})

test('each cause has a remedy, whichever proxy is in front', () => {
  // `Object.keys` forgets what the keys are.
  for (const cause of Object.keys(CAUSES) as (keyof typeof CAUSES)[])
    for (const front of [...FRONTS, 'none', undefined] as const) {
      const remedies = remediesOf(cause, front, 'https://send.example.org')
      expect(remedies.length, `${cause} behind ${front}`).toBeGreaterThan(0)
      expect(remedies.map(({ line }) => line).join('\n')).not.toContain('{base}')
    }
})

test('each flag of ess-server that mends something is one that it has', async () => {
  const help = await (await run('ess-server --help', process.execPath, [ESS_SERVER, '--help'])).ended()
  const flags = Object.values<Cause>(CAUSES).flatMap(
    ({ mend }) => mend['ess-server']?.match(/--[a-z][a-z-]+/g) ?? [],
  )
  expect(flags.length).toBeGreaterThan(10)
  for (const flag of new Set(flags)) expect(help.stdout.toString()).toMatch(new RegExp(`${flag}(?![\\w-])`))
})

test('each check needs only checks above it', () => {
  for (const [at, { needs }] of CHECKS.entries())
    for (const need of needs) expect(CHECKS.findIndex(({ name }) => name === need)).toBeLessThan(at)
})
