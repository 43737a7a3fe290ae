import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bytesOf, writeFileOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { startServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'

/** `saved` is what curl -OJ makes of it: it reads the ASCII fallback, not `filename*`. */
const NAMES = [
  { name: 'plain.txt', saved: 'plain.txt' },
  { name: 'two words.txt', saved: 'two words.txt' },
  { name: "it's.txt", saved: "it's.txt" },
  { name: 'résumé.pdf', saved: 'r_sum_.pdf' },
  { name: '100%41.txt', saved: '100%41.txt' },
]

test.for(NAMES)(
  'curl -T $name and curl -OJ leave $saved, and ess get the name itself',
  async ({ name, saved }, context) => {
    needs(context, 'curl')
    const server = await startServer()
    const folder = await tempDir()
    await writeFileOf(join(folder, name), 1000)
    for (const receiver of ['curl', 'ess']) {
      const sender = await runCurl(['-sSNT', join(folder, name), `${server.url}/`])
      const [url] = await sender.untilStdout(/^http.*$/m)
      const cwd = await tempDir()
      const program =
        receiver === 'curl'
          ? await runCurl(['-sSfOJ', url], { cwd })
          : await runEss(server.url, ['get', url, '-o', decodeURIComponent(url.split('/').at(-1) ?? '')], {
              cwd,
            })
      expect((await program.ended()).code).toBe(0)
      expect((await sender.ended()).code).toBe(0)
      const expected = receiver === 'curl' ? saved : name
      expect(await readdir(cwd)).toEqual([expected])
      expect(Buffer.compare(await readFile(join(cwd, expected)), bytesOf(1000))).toBe(0)
    }
  },
)
