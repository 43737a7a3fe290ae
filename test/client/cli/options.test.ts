import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readPage } from '../../helpers/markdown.js'
import { run } from '../../helpers/run.js'
import { tempDir } from '../../helpers/temp-dir.js'

const SCRIPT = fileURLToPath(new URL('../../../scripts/ess-options.mjs', import.meta.url))

async function runScript(...args: string[]): Promise<number | null> {
  const { code, stderr } = await (await run('ess-options', process.execPath, [SCRIPT, ...args])).ended()
  expect(stderr.toString()).toBe('')
  return code
}

test('docs/cli.md has a row for each option of ess, as the table of options has it', async () => {
  expect(await runScript('--check'), 'npm run docs:ess writes the rows').toBe(0)
})

test('a row that the table of options does not have is noticed, and written as it should be', async () => {
  const manual = await readPage('docs/cli.md')
  const page = join(await tempDir(), 'cli.md')
  for (const wrong of [
    manual.replace('Name of the file or folder for the receiver', 'Name for the receiver'),
    manual.replace(/^\| `-q`.*\n/m, ''),
    manual.replace(/^\| `--wait`.*\n/m, '$&| `--old` | `get` | | | It is no more |\n'),
  ]) {
    expect(wrong).not.toBe(manual)
    await writeFile(page, wrong)
    expect(await runScript('--check', page)).toBe(1)
    expect(await runScript(page)).toBe(0)
    expect(await readFile(page, 'utf8')).toBe(manual)
  }
})
