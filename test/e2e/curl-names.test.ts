import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { curlLine, safeFileName } from '../../shared/index.js'
import { bytesOf, writeFileOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import { run } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'

const NAMES = [
  'plain.txt',
  'two words.txt',
  "it's.txt",
  'résumé.pdf',
  '100%41.txt',
  '$(touch x) `touch y` "z" \\ ! #1.txt',
  '[a]{b,c}*?.txt',
  "'; touch x; '",
]

test.for(NAMES)(
  'curl -T %s and the line for the other side, in a shell, leave that name over a file that is there, and so does ess get -f',
  async (name, context) => {
    needs(context, 'curl')
    const server = await startServerHere()
    const folder = await tempDir()
    // A path of one component, which the sender's name may not be.
    await writeFileOf(join(folder, 'f'), 1000)
    for (const receiver of ['curl', 'ess']) {
      const target = `${server.url}/${encodeURIComponent(name)}`
      const sender = await runCurl(['-sSNT', join(folder, 'f'), target])
      const [url] = await sender.untilStdout(/^http.*$/m)
      const cwd = await tempDir()
      const saved = safeFileName(name) ?? ''
      await writeFile(join(cwd, saved), 'old')
      const program =
        receiver === 'curl'
          ? await run('the line for curl', 'sh', ['-c', curlLine(url, name, 'f')], { cwd })
          : await runEss(server.url, ['get', '-f', url, '-o', saved], { cwd })
      expect(await program.ended()).toMatchObject({ code: 0 })
      expect((await sender.ended()).code).toBe(0)
      expect(await readdir(cwd)).toEqual([saved])
      expect(Buffer.compare(await readFile(join(cwd, saved)), bytesOf(1000))).toBe(0)
    }
  },
)

/**
 * A small file is all in one read, head included, by the time that curl finds out. Of one byte there is none to hold
 * back, where it finds out by that byte.
 */
const SIZES = [2, 5, 10_000, 24 * 1024 * 1024]

test.each(SIZES)('where curl cannot write a file of %d bytes, its sender is told', async (size) => {
  const server = await startServerHere()
  const file = join(await tempDir(), 'f')
  await writeFileOf(file, size)
  const cwd = await tempDir()
  await mkdir(join(cwd, 'f'))
  for (const line of [(url: string) => curlLine(url, 'f', 'g'), (url: string) => `curl -fOJ '${url}'`]) {
    const sender = await runCurl(['-sSNT', file, `${server.url}/`])
    const [url] = await sender.untilStdout(/^http.*$/m)
    const receiver = await run('the line for curl', 'sh', ['-c', line(url)], { cwd })
    expect((await receiver.ended()).code).toBe(23)
    const ending = await sender.ended()
    expect(ending.code).not.toBe(0)
    expect(ending.stdout.toString()).toContain('# failed: The receiver stopped after')
  }
})
