import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { bytesOf, sha256OfFile, writeFileOf } from './helpers/bytes.js'
import { expectQuietNode } from './helpers/child-env.js'
import { needs } from './helpers/needs.js'
import { expectDelivered, expectReceived, startReceiver, startSender } from './helpers/peers.js'
import { type Program, run } from './helpers/run.js'
import { runCurl } from './helpers/run-curl.js'
import { runEss } from './helpers/run-ess.js'
import { tempDir } from './helpers/temp-dir.js'

/*
 * Each example is its own process, as its reader would start it, and imports the package by its name.
 */
const EXAMPLES = ['express', 'hono', 'node-http'] as const
const MOUNTS = ['/', '/share'] as const
const SIZE = 1_000_003

beforeEach((context) => needs(context, 'curl'))

interface Example extends Program {
  /** With its path, without a final slash. */
  readonly url: string
}

async function startExample(name: string, mount: string): Promise<Example> {
  const path = new URL(`../examples/${name}.mjs`, import.meta.url).pathname
  const program = await run(name, process.execPath, [path], { env: { PORT: '0', MOUNT: mount } })
  const [, url = ''] = await program.untilStdout(/^(http:\/\/127\.0\.0\.1:\d+\S*)\n/)
  expect(new URL(url).pathname).toBe(mount)
  return { ...program, url: url.replace(/\/$/, '') }
}

test.each(EXAMPLES)('examples/%s.mjs is short, and imports what its reader can', async (name) => {
  const text = await readFile(new URL(`../examples/${name}.mjs`, import.meta.url), 'utf8')
  expect(text.trimEnd().split('\n').length).toBeLessThan(40)
  const imports = [...text.matchAll(/from '([^']+)'/g)].map(([, from = '']) => from)
  expect(imports).toContain('ephemeral-socket-service')
  const frameworks = ['express', 'hono', '@hono/node-server', 'node:http']
  expect(imports.filter((from) => !['ephemeral-socket-service', ...frameworks].includes(from))).toEqual([])
})

describe.each(EXAMPLES)('examples/%s.mjs', (name) => {
  describe.each(MOUNTS)('under %s', (mount) => {
    test('curl and ess send to one another', async () => {
      const example = await startExample(name, mount)
      const file = join(await tempDir(), 'file.bin')
      const hash = await writeFileOf(file, SIZE)
      for (const [from, to] of [
        ['curl', 'ess'],
        ['ess', 'curl'],
      ] as const) {
        const sender = await startSender(from, example, { file })
        expect(sender.url).toMatch(new RegExp(`^${example.url}/[\\w-]{12}/file\\.bin$`))
        const receiver = await startReceiver(to, sender.url)
        await expectReceived(receiver)
        await expectDelivered(sender, SIZE)
        expect(await sha256OfFile(receiver.path)).toBe(hash)
      }
      expectQuietNode(name, example.stderr())
    })

    test('a form is sent by reservation, and the link shows a page that carries the path', async () => {
      const example = await startExample(name, mount)
      const file = join(await tempDir(), 'file.bin')
      const hash = await writeFileOf(file, SIZE)
      const reserved = await (await runCurl(['-f', '-X', 'POST', `${example.url}/reserve`])).ended()
      const [url = '', upload = ''] = reserved.stdout.toString().split('\n')
      expect(upload).toMatch(new RegExp(`^${example.url}/uploads/`))
      const sender = await runCurl(['-f', '-F', `file=@${file}`, upload])
      const page = await (await runCurl(['-H', 'Sec-Fetch-Mode: navigate', url])).ended()
      expect(page.stdout.toString()).toContain(url)
      const receiver = await startReceiver('curl', url)
      await expectReceived(receiver)
      const sent = await sender.ended()
      expect({ code: sent.code, stdout: sent.stdout.toString() }).toEqual({
        code: 0,
        stdout: `# delivered: ${SIZE} bytes\n`,
      })
      expect(await sha256OfFile(receiver.path)).toBe(hash)
      expectQuietNode(name, example.stderr())
    })
  })
})

test('the Express example tells its story in its own words, and logs its events', async () => {
  const example = await startExample('express', '/share')
  const sender = await runCurl(['--data-binary', '@-', `${example.url}/?colour=red`], {
    stdin: bytesOf(70_000),
  })
  const [, url = ''] = await sender.untilStdout(/^(http\S+)\n/)
  const id = url.split('/').at(-1) ?? ''
  await (await runCurl(['-f', '-o', '/dev/null', url])).ended()
  const sent = await sender.ended()
  expect(sent.code).toBe(0)
  const lines = sent.stdout.toString().trimEnd().split('\n')
  expect(lines[0]).toBe(url)
  expect(lines[1]).toBe(`# Ephemeral socket open with ID ${id}`)
  expect(lines[2]).toBe('# receiver connected')
  expect(lines.at(-1)).toBe('# Upload complete. Socket deleted.')
  // The second receiver of a link that works once.
  expect((await (await runCurl(['-f', url])).ended()).code).toBe(22)
  const never = url.replace(id, 'abcdefghijkl')
  expect((await (await runCurl([never])).ended()).stdout.toString()).toBe('Not found\n')
  // Whoever goes by the code of a problem is given it. ess looks first, by HEAD, and then asks.
  const { code, stderr } = await (await runEss(undefined, ['get', never])).ended()
  expect([code, stderr]).toEqual([4, expect.stringContaining('[not-found]')])
  await example.untilStdout(/(?:error:not-found not-found\n){3}/)
  expect(example.stdout().split('\n').slice(1, -1)).toEqual([
    `socket:opened ${id.slice(0, 4)} colour=red`,
    `socket:connected ${id.slice(0, 4)} `,
    `socket:end ${id.slice(0, 4)} 70000 bytes`,
    'error:not-found gone',
    ...Array<string>(3).fill('error:not-found not-found'),
  ])
  expect(example.stdout()).not.toContain(id)
})

test('the Express example says when no receiver came, when one was lost, and what is too large', async () => {
  const example = await startExample('express', '/')
  const late = await runCurl(['-T', '-', `${example.url}/late.txt?ttl=0.2`], { stdin: 'hello' })
  await late.untilStdout(/# Timed out\. No one requested your socket\.\n/)
  expect((await late.ended()).code).toBe(18)
  await example.untilStdout(/^socket:timeout \S{4} \n/m)

  const sender = await startSender('curl', example, 'held')
  const receiver = await startReceiver('curl', sender.url)
  await sender.untilStdout(/"connected"/)
  receiver.kill('SIGKILL')
  await sender.untilStdout(/"failed"/)
  await example.untilStdout(/^error:socket \S{4} receiver-lost\n/m)

  const large = await runCurl(['-f', '-X', 'POST', '-H', 'Content-Length: 9999999999', `${example.url}/`])
  expect((await large.ended()).code).toBe(22)
  await example.untilStdout(/^error:max-upload too-large\n/m)
})
