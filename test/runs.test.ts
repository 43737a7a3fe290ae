import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { run } from './helpers/run.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs')

/** The files of a run of vitest.config.ts, each as `[PROJECT] FILE`. */
async function filesOf(mode: string): Promise<string[]> {
  const args = [VITEST, 'list', '--filesOnly', '--mode', mode]
  const { code, stdout } = await (await run('vitest list', process.execPath, args, { cwd: ROOT })).ended()
  expect(code).toBe(0)
  return stdout.toString().match(/^\[.+\] test\/.+$/gm) ?? []
}

test('no test is left out: npm test, the rest, the pages and several are all there is', async () => {
  const modes = ['test', 'rest', 'pages', 'several', 'all'].map(filesOf)
  const [usual = [], rest = [], pages = [], several = [], all = []] = await Promise.all(modes)
  expect([...new Set([...usual, ...rest])].sort()).toEqual([...all].sort())
  const twice = usual.filter((file) => rest.includes(file))
  // The fuzzer, which makes more connections in the second run.
  expect(twice).toEqual(['[once] test/fuzz/fuzz.test.ts'])
  const onDisk = (await readdir(join(ROOT, 'test'), { recursive: true })).filter((name) =>
    name.endsWith('.test.ts'),
  )
  const run = new Set([...all, ...pages, ...several].map((file) => file.replace(/^.*\] test\//, '')))
  expect([...run].sort()).toEqual(onDisk.sort())
  expect(pages.filter((file) => all.includes(file))).toEqual([])
})
