import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../../helpers/run.js'
import { ESS } from '../../helpers/run-ess.js'
import { tempDir } from '../../helpers/temp-dir.js'

test('a process that has nothing left to wait for, before its work was done, fails and says so', async () => {
  const preload = join(await tempDir(), 'preload.cjs')
  // The configuration is read first, and comes never.
  await writeFile(preload, "require('node:fs/promises').readFile = () => new Promise(() => {})\n")
  const program = await run('ess', process.execPath, ['--require', preload, ESS, 'send', 'file'])
  const { code, stdout, stderr } = await program.ended()
  expect({ code, stdout: stdout.toString() }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toBe('ess: a bug, please report it: it ended before its work was done\n')
})
