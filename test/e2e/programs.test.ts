import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import { run } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { BROWSER } from '../helpers/visitors.js'

const CONTENT = bytesOf(300_001)

/** Each writes `f` into its working folder. Robot lists name some of them, and wget2 and Java ask for text/html too. */
const RECEIVERS: Readonly<Record<string, (url: string) => readonly [string, ...(readonly string[])]>> = {
  wget2: (url) => ['wget2', '-q', '-O', 'f', url],
  lftp: (url) => ['lftp', '-c', `get '${url}' -o f`],
  aria2: (url) => ['aria2c', '-q', '-o', 'f', url],
  HTTPie: (url) => ['http', '--ignore-stdin', '--check-status', '-d', '-o', 'f', url],
  "Ruby's open-uri": (url) => ['ruby', '-ropen-uri', '-e', 'IO.copy_stream(URI.open(ARGV[0]), "f")', url],
  "PHP's copy": (url) => ['php', '-r', 'exit(copy($argv[1], "f") ? 0 : 1);', url],
}

test.for(Object.entries(RECEIVERS))('%s gets the file and no page', async ([name, command], context) => {
  needs(context, command('')[0], 'curl')
  const server = await startServerHere()
  const file = join(await tempDir(), 'sent.bin')
  await writeFile(file, CONTENT)
  for (const framing of [[], ['-H', 'Content-Length:', '-H', 'Transfer-Encoding: chunked']]) {
    const sender = await runCurl(['-sSNf', ...framing, '-T', file, `${server.url}/`])
    const [url] = await sender.untilStdout(/^http\S+/)
    const [program, ...args] = command(url)
    const cwd = await tempDir()
    const receiver = await run(name, program, args, { cwd })
    const ending = await receiver.ended()
    expect(ending.code, ending.stderr).toBe(0)
    expect((await readFile(join(cwd, 'f'))).equals(CONTENT)).toBe(true)
    expect((await sender.ended()).stdout.toString()).toContain(`# delivered: ${CONTENT.length} bytes\n`)
  }
})

test('curl that says all that a browser says fails by the page, and the link is still there', async (context) => {
  needs(context, 'curl')
  const server = await startServerHere()
  const sender = await runCurl(['-sSNfT', '-', `${server.url}/f`], { stdin: 'hello' })
  const [url] = await sender.untilStdout(/^http\S+/)
  const headers = Object.entries(BROWSER).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const copied = await (await runCurl(['-sSf', ...headers, url])).ended()
  expect([copied.code, copied.stdout.toString()]).toEqual([22, ''])
  const plain = await (await runCurl(['-sSf', url])).ended()
  expect([plain.code, plain.stdout.toString()]).toEqual([0, 'hello'])
  expect((await sender.ended()).code).toBe(0)
})
