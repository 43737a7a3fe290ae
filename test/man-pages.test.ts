import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { COMMAND_NAMES, rowOf } from '../client/cli/commands.js'
import { FLAGS } from '../client/cli/options.js'
import { flagOf, namesOf, variableOf } from '../server/broker/option-names.js'
import { EXIT_STATUS } from '../shared/index.js'
import { readPage } from './helpers/markdown.js'
import { needs } from './helpers/needs.js'
import { run } from './helpers/run.js'
import { tempDir } from './helpers/temp-dir.js'

const SCRIPT = fileURLToPath(new URL('../scripts/man-pages.mjs', import.meta.url))
const PAGES = ['ess.1', 'ess-server.8'] as const

/** Writes both pages as the build does, and gives the path of one. */
async function pageAt(
  name: (typeof PAGES)[number],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = await tempDir()
  const program = await run('man-pages', process.execPath, [SCRIPT, folder], { env })
  expect(await program.ended()).toMatchObject({ code: 0, stderr: '' })
  return join(folder, name)
}

/** The page as a reader sees it, in wide lines, without bold and underlined letters. */
async function shown(name: (typeof PAGES)[number]): Promise<string> {
  const args = ['-T', 'utf8', '-O', 'width=200', await pageAt(name)]
  const { code, stdout } = await (await run('mandoc', 'mandoc', args)).ended()
  expect(code).toBe(0)
  return stdout.toString().replace(/.[\b]/g, '')
}

const LINTERS: readonly (readonly [program: string, args: readonly string[]])[] = [
  ['mandoc', ['-T', 'lint', '-W', 'style']],
  ['man', ['--warnings', '--local-file']],
  ['groff', ['-ww', '-man', '-z']],
]

describe.each(PAGES)('%s', (name) => {
  for (const [program, args] of LINTERS)
    test(`${program} finds nothing wrong with it`, async (context) => {
      needs(context, program)
      const linter = await run(program, program, [...args, await pageAt(name)], { env: { MANPAGER: 'cat' } })
      const { code, stdout, stderr } = await linter.ended()
      expect(stderr).toBe('')
      if (program === 'mandoc') expect(stdout.toString()).toBe('')
      expect(code).toBe(0)
    })

  test('is the same for the same day', async () => {
    const env = { SOURCE_DATE_EPOCH: '1800000000' }
    const text = await readFile(await pageAt(name, env), 'utf8')
    expect(text).toContain('2027-01-15')
    expect(await readFile(await pageAt(name, env), 'utf8')).toBe(text)
  })

  test('comes with the package, where the build has put it', async () => {
    const { man, files } = JSON.parse(await readPage('package.json')) as Record<'man' | 'files', string[]>
    expect(man).toContain(`dist/man/${name}`)
    expect(files).toContain('dist/man')
    await access(new URL(`../dist/man/${name}`, import.meta.url))
  })
})

test('ess(1) has every command, example, option and exit status', async (context) => {
  needs(context, 'mandoc')
  const page = await shown('ess.1')
  for (const name of COMMAND_NAMES)
    for (const [line] of rowOf(name).examples) expect(page).toMatch(linesWith(line))
  for (const { flag, value, words } of FLAGS) {
    expect(page).toMatch(new RegExp(`^ +(-\\w, )?--${flag}${value === undefined ? '' : ` ${value}`}\\b`, 'm'))
    expect(page.replace(/\s+/g, ' ')).toContain(words.replace(/\s+/g, ' '))
  }
  for (const status of Object.values(EXIT_STATUS)) expect(page).toMatch(new RegExp(`^ {7}${status} `, 'm'))
})

test('ess-server(8) has every option, with its variable', async (context) => {
  needs(context, 'mandoc')
  const page = await shown('ess-server.8')
  for (const flag of namesOf('command', 'both').map(flagOf)) {
    expect(page).toMatch(linesWith(`--${flag}`))
    expect(page).toMatch(new RegExp(`\\b${variableOf(flag)}\\.`))
  }
})

/** A line of its own: it may be typed as it stands. */
function linesWith(text: string): RegExp {
  return new RegExp(`^ +${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}( |$)`, 'm')
}
