import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { run } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'

const CONTENT = bytesOf(300_001)
const STALE = 'left by another download'

interface Resumer {
  readonly program: string
  /** Goes on with the file `f` in its working folder. */
  readonly args: (url: string) => readonly string[]
  /** What it exits with when it is refused. */
  readonly exit: number
}

/** What goes on with a file that is there, or asks whether it could: see the table in docs/protocol.md. */
const RESUMERS: Readonly<Record<string, Resumer>> = {
  'curl -C -': { program: 'curl', args: (url) => ['-qsS', '-C', '-', '-o', 'f', url], exit: 33 },
  'curl -f -C -': { program: 'curl', args: (url) => ['-qsSf', '-C', '-', '-o', 'f', url], exit: 22 },
  'wget -c': { program: 'wget', args: (url) => ['-q', '-c', '-O', 'f', url], exit: 8 },
  'lftp get -c': { program: 'lftp', args: (url) => ['-c', `get -c '${url}' -o f`], exit: 1 },
  'http -dc': {
    program: 'http',
    args: (url) => ['--ignore-stdin', '--check-status', '-dc', '-o', 'f', url],
    exit: 4,
  },
  axel: { program: 'axel', args: (url) => ['-q', '-o', 'g', url], exit: 1 },
}

/** A sender that waits, in chunks or with a length. */
async function offer(server: ServerHere, framing: 'chunked' | 'sized') {
  const how = framing === 'sized' ? [] : ['-H', 'Content-Length:', '-H', 'Transfer-Encoding: chunked']
  const file = join(await tempDir(), 'f')
  await writeFile(file, CONTENT)
  const sender = await runCurl(['-sSNf', ...how, '-T', file, `${server.url}/`])
  const [url] = await sender.untilStdout(/^http\S+/)
  return { sender, url }
}

for (const [name, { program, args, exit }] of Object.entries(RESUMERS)) {
  test.for(['chunked', 'sized'] as const)(
    `${name} is told that there is no part of a link that waits, and leaves it to another: %s`,
    async (framing, context) => {
      needs(context, program, 'curl')
      const server = await startServerHere()
      const { sender, url } = await offer(server, framing)
      const cwd = await tempDir()
      await writeFile(join(cwd, 'f'), STALE)
      const resumer = await run(name, program, args(url), { cwd })
      const ending = await resumer.ended()
      expect(ending.code, ending.stderr).toBe(exit)
      expect(await readFile(join(cwd, 'f'), 'utf8')).toBe(STALE)
      const receiver = await runCurl(['-sSf', url])
      expect((await receiver.ended()).stdout.equals(CONTENT)).toBe(true)
      expect((await sender.ended()).code).toBe(0)
    },
  )
}

test('aria2c -c asks for the whole, and gets it', async (context) => {
  needs(context, 'aria2c', 'curl')
  const server = await startServerHere()
  const { sender, url } = await offer(server, 'sized')
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), STALE)
  const resumer = await run('aria2c', 'aria2c', ['-q', '-c', '-x4', '-o', 'f', url], { cwd })
  expect((await resumer.ended()).code).toBe(0)
  expect((await readFile(join(cwd, 'f'))).equals(CONTENT)).toBe(true)
  expect((await sender.ended()).code).toBe(0)
})

/** It decides by the length in the 200, which every download has to say. The page on the protocol warns of it. */
test.for([
  { old: 'the same length', size: CONTENT.length, exit: 0 },
  { old: 'half the length', size: CONTENT.length >> 1, exit: 22 },
  // Sometimes its beginning is written over.
  { old: 'a greater length', size: CONTENT.length + 1000, exit: 0 },
])('aria2c -c over an old file of $old uses the link up for nothing', async ({ size, exit }, context) => {
  needs(context, 'aria2c', 'curl')
  const server = await startServerHere()
  const { sender, url } = await offer(server, 'sized')
  const cwd = await tempDir()
  const stale = Buffer.alloc(size)
  await writeFile(join(cwd, 'f'), stale)
  const resumer = await run('aria2c', 'aria2c', ['-q', '-c', '-o', 'f', url], { cwd })
  expect((await resumer.ended()).code).toBe(exit)
  const left = await readFile(join(cwd, 'f'))
  expect(left.length).toBe(size)
  if (size <= CONTENT.length) expect(left.equals(stale)).toBe(true)
  await sender.ended()
  const receiver = await runCurl(['-sSf', url])
  expect((await receiver.ended()).code).toBe(22)
})

/** What asks again by itself, or by a second command, once its download was cut. */
const AGAIN: Readonly<Record<string, readonly [Resumer, Resumer]>> = {
  'wget, by itself': [
    { program: 'wget', args: (url) => ['-q', '-O', 'f', url], exit: 8 },
    { program: 'wget', args: (url) => ['-q', '-c', '-O', 'f', url], exit: 8 },
  ],
  'curl -f -C -': [
    { program: 'curl', args: (url) => ['-qsSf', '-o', 'f', url], exit: 56 },
    { program: 'curl', args: (url) => ['-qsSf', '-C', '-', '-o', 'f', url], exit: 22 },
  ],
  'curl -C -': [
    { program: 'curl', args: (url) => ['-qsS', '-o', 'f', url], exit: 56 },
    { program: 'curl', args: (url) => ['-qsS', '-C', '-', '-o', 'f', url], exit: 33 },
  ],
}

test.for(Object.entries(AGAIN))(
  '%s: a cut download that asks for the rest is not told that it has all',
  async ([name, commands], context) => {
    needs(context, commands[0].program)
    const server = await startServerHere()
    const sender = await connectRaw(server.port)
    await sender.write(`PUT /f HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: 2000000\r\n\r\n`)
    const [, url = ''] = await sender.until(/^(http\S+)$/m)
    const cwd = await tempDir()
    for (const [at, { program, args, exit }] of commands.entries()) {
      const receiver = await run(name, program, args(url), { cwd })
      if (at === 0) {
        await sender.until(/# receiver connected/)
        await sender.write(Buffer.alloc(1_000_000))
        await until(`${name} has a part`, async () => (await sizeOf(join(cwd, 'f'))) > 0)
        sender.reset()
      }
      const ending = await receiver.ended()
      expect(ending.code, ending.stderr).toBe(exit)
    }
  },
)

/** Bytes; 0 where there is no file yet. */
async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
