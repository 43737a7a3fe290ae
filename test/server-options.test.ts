import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readPage } from './helpers/markdown.js'
import { run } from './helpers/run.js'
import { tempDir } from './helpers/temp-dir.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGES = ['docs/server.md', 'docs/embedding.md'] as const

/** `npm run docs:server` on a built project, or with `--check` a look at what it would write, on the pages in `folder`. */
async function serverOptions(folder: string, ...args: string[]) {
  const program = [join(ROOT, 'scripts', 'server-options.mjs'), ...args]
  const { code, stdout, stderr } = await (
    await run('server-options', process.execPath, program, { cwd: folder })
  ).ended()
  return { code, stdout: stdout.toString(), stderr }
}

/** A folder with copies of the pages, in which `change` has changed the text. */
async function copies(change: (text: string) => string): Promise<string> {
  const folder = await tempDir()
  await mkdir(join(folder, 'docs'))
  for (const page of PAGES) await writeFile(join(folder, page), change(await readPage(page)))
  return folder
}

describe('the rows of options in docs/server.md and docs/embedding.md', () => {
  test('are what the tables of options say', async () => {
    expect(await serverOptions(ROOT, '--check')).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('are not current with another word, a missing row, or one too many; npm run docs:server mends them', async () => {
    const folder = await copies((text) =>
      text
        .replace('Port to listen on', 'Harbour to listen on')
        .replace(/^\| `--drain` .*\n/m, '')
        .replace(/(^\| `heartbeat` .*\n)/m, '$1$1'),
    )
    const { code, stdout } = await serverOptions(folder, '--check')
    expect(code).toBe(1)
    expect(stdout.match(/^\S+(?=: )/gm)).toEqual(PAGES)
    expect((await serverOptions(folder)).code).toBe(0)
    expect(await serverOptions(folder, '--check')).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('have a place in their page, and nothing else of it is touched', async () => {
    const without = await copies((text) => text.replaceAll('<!-- end of options -->\n', ''))
    expect((await serverOptions(without)).stderr).toContain('has no place for the options of ess-server')
    const above = 'A line above.\n'
    const folder = await copies((text) => `${above}${text.replace('| `--drain`', '| `--dryin`')}`)
    expect((await serverOptions(folder)).code).toBe(0)
    for (const page of PAGES)
      expect(await readFile(join(folder, page), 'utf8')).toBe(`${above}${await readPage(page)}`)
  })
})
