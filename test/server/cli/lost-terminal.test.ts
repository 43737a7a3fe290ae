import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { ESS_SERVER } from '../../helpers/start-server.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

test('a server whose terminal was closed serves on, and stops politely', async (context) => {
  needs(context, 'script')
  const cwd = await tempDir()
  await writeFile(join(cwd, 'tokens'), randomBytes(32).toString('hex'))
  // With tokens to read again, SIGHUP does not end it. A shell passes it on, and says how the server ended.
  const server = `'${process.execPath}' '${ESS_SERVER}' --port 0 --log off --send-tokens tokens`
  const line = `trap 'kill -HUP $pid; echo > hung-up' HUP; ${server} & pid=$!; echo $pid > pid; wait; wait $pid; echo $? > status`
  const terminal = await run('ess-server on a terminal', 'script', ['-qec', line, '/dev/null'], {
    cwd,
    stdin: 'open',
    env: { SHELL: '/bin/sh' },
  })
  const [, url = ''] = await terminal.untilStdout(/listening on (\S+)/)
  terminal.kill('SIGKILL')
  const fileOf = (name: string) => readFile(join(cwd, name), 'utf8').catch(() => '')
  await until('the shell has passed SIGHUP on', async () => (await fileOf('hung-up')) !== '')
  expect((await fetch(`${url}/health`)).status).toBe(200)
  process.kill(Number(await fileOf('pid')), 'SIGTERM')
  await until('there is a status', async () => (await fileOf('status')) !== '')
  expect(await fileOf('status')).toBe('0\n')
})
