import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { writeFileOf } from '../helpers/bytes.js'
import { childEnv } from '../helpers/child-env.js'
import { expectNoFile, startReceiver, startSender, TOOLS, untilReceiving } from '../helpers/peers.js'
import { run } from '../helpers/run.js'
import { ESS, runEss } from '../helpers/run-ess.js'
import { startServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../helpers/within.js'

/** What a shell finds on its path beside the machine's own programs. */
const ESS_BY_NAME = `ess() { '${process.execPath}' '${ESS}' "$@"; }`

/** A pipeline in a process group of its own, as a terminal gives it one; `interrupt` is Ctrl-C. */
async function pipeline(server: string, line: string) {
  const shell = spawn('sh', ['-c', `${ESS_BY_NAME}; ${line}`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: childEnv({ ESS_SERVER: server }),
  })
  const { pid } = shell
  if (pid === undefined) throw new Error('Expected a shell to be started')
  const ended = once(shell, 'close')
  const group = (signal: NodeJS.Signals) => {
    if (shell.exitCode === null && shell.signalCode === null) process.kill(-pid, signal)
  }
  onTestFinished(() => group('SIGKILL'))
  const [first] = await within(DEADLINE_MS, 'the pipeline prints its URL', once(shell.stdout, 'data'))
  return {
    url: String(first).trim(),
    interrupt: () => group('SIGINT'),
    ended: () => within(DEADLINE_MS, 'the pipeline ends', ended),
  }
}

test.each(TOOLS)('Ctrl-C on a pipeline never gives %s a part as the whole', async (tool) => {
  const server = await startServer('--max-upload-bytes', '0')
  // More than once, because it is a race between the end of the producer and our own interruption.
  for (let round = 0; round < 6; round++) {
    const sender = await pipeline(server.url, 'cat /dev/zero | ess send')
    const receiver = await startReceiver(tool, sender.url)
    await untilReceiving(receiver)
    sender.interrupt()
    await sender.ended()
    const { code } = await receiver.ended()
    expect(code).not.toBe(0)
    if (tool === 'ess') await expectNoFile(receiver)
  }
})

test.each([1124, 10_000])('%i bytes into a file that may have 1,024 are no success', async (size) => {
  const server = await startServer()
  const folder = await tempDir()
  const file = join(folder, 'in')
  await writeFileOf(file, size)
  const sender = await startSender('ess', server, { file })
  // ulimit -f counts in blocks of 512 bytes in some shells, and of 1,024 in others.
  const line = `${ESS_BY_NAME}; ulimit -f 1; ess get '${sender.url}' > '${join(folder, 'out')}'`
  const receiver = await run('ess get > out', 'sh', ['-c', line], { env: { ESS_SERVER: server.url } })
  expect(await receiver.ended()).toMatchObject({ code: 8 })
  expect((await sender.ended()).code).toBe(5)
})

test('a file that is made when it is read is sent as it reads', async () => {
  const server = await startServer()
  const sender = await runEss(server.url, ['send', '/proc/version'])
  const [url] = await sender.untilStdout(/http.*/)
  const receiver = await runEss(server.url, ['get', url, '-o', '-'])
  const { code, stdout } = await receiver.ended()
  expect(code).toBe(0)
  expect(stdout.toString()).toBe(await readFile('/proc/version', 'utf8'))
  expect((await sender.ended()).code).toBe(0)
})
