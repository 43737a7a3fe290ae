import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { essOnTerminal, runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'

test.each([
  [['a'], 'Received a, 1 item, '],
  [['a', 'b.txt'], 'Received a and b.txt, 2 items, '],
  [['a', 'b.txt', 'c.txt', 'd.txt', 'e.txt'], 'Received a, b.txt, c.txt and 2 more, 5 items, '],
])('the last line of ess get names what is here now: of %j', async (names, line) => {
  const server = await startServerHere()
  const [here, there] = [await tempDir(), await tempDir()]
  await mkdir(join(here, 'a'))
  for (const name of names.slice(1)) await writeFile(join(here, name), name)
  const sender = await runEss(server.url, ['send', ...names], { cwd: here })
  const [link] = await sender.untilStdout(/^http\S+/)
  const receiver = await essOnTerminal(there, ['get', link], true)
  const { stdout } = await receiver.ended()
  expect(stdout.toString()).toContain(line)
})
