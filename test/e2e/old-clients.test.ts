import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, type TestContext, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { type Program, run } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'

/** More than any client sends or reads at once, less than is worth waiting for. */
const CONTENT = bytesOf(3_000_001)

const SIZED = 'Content-Length: 9'
const CHUNKED = 'Transfer-Encoding: chunked'

/** A client that knows nothing of early responses: it needs a whole request, and then a whole answer. */
interface OldClient {
  readonly programs: readonly string[]
  /** Uploads a file, and prints the body of the answer; an answer that is no success is an exit status. */
  send(upload: string, file: string): Promise<Program>
  /** Prints what it received; one that is cut is an exit status. */
  receive(url: string): Promise<Program>
}

const CLIENTS: Readonly<Record<string, OldClient>> = {
  wget: {
    programs: ['wget'],
    send: (upload, file) => run('wget', 'wget', ['-nv', '-O', '-', `--post-file=${file}`, upload]),
    // By itself it tries again when a download is cut, and would find the link used.
    receive: (url) => run('wget', 'wget', ['-nv', '-t', '1', '-O', '-', url]),
  },
  'Python urllib': {
    programs: ['python3'],
    send: (upload, file) =>
      python(
        `
import sys, urllib.request
with open(sys.argv[2], 'rb') as file:
    request = urllib.request.Request(sys.argv[1], data=file.read(), method='PUT')
    with urllib.request.urlopen(request) as answer: print(answer.read().decode(), end='')
`,
        [upload, file],
      ),
    receive: (url) =>
      python(
        `
import sys, shutil, urllib.request
with urllib.request.urlopen(sys.argv[1]) as answer: sys.stdout.buffer.write(answer.read())
`,
        [url],
      ),
  },
  'Python requests': {
    programs: ['python3'],
    send: (upload, file) =>
      python(
        `
import sys, requests
with open(sys.argv[2], 'rb') as file: answer = requests.put(sys.argv[1], data=file)
answer.raise_for_status()
print(answer.text, end='')
`,
        [upload, file],
      ),
    receive: (url) =>
      python(
        `
import sys, requests
answer = requests.get(sys.argv[1])
answer.raise_for_status()
sys.stdout.buffer.write(answer.content)
`,
        [url],
      ),
  },
  'Node fetch': {
    programs: [],
    send: (upload, file) =>
      node(
        `
const [upload, file] = process.argv.slice(1)
const answer = await fetch(upload, { method: 'PUT', body: fs.readFileSync(file) })
process.stdout.write(await answer.text())
process.exitCode = answer.ok ? 0 : 1
`,
        [upload, file],
      ),
    receive: (url) =>
      node(
        `
const answer = await fetch(process.argv[1])
process.stdout.write(Buffer.from(await answer.arrayBuffer()))
process.exitCode = answer.ok ? 0 : 1
`,
        [url],
      ),
  },
  'Node http': {
    programs: [],
    send: (upload, file) =>
      node(
        `
const [upload, file] = process.argv.slice(1)
const request = http.request(upload, { method: 'PUT' }, (answer) => {
  answer.pipe(process.stdout)
  process.exitCode = answer.statusCode === 200 ? 0 : 1
})
fs.createReadStream(file).pipe(request)
`,
        [upload, file],
      ),
    receive: (url) =>
      node(
        `
http.get(process.argv[1], (answer) => {
  answer.on('error', () => process.exit(1))
  answer.pipe(process.stdout)
  process.exitCode = answer.statusCode === 200 ? 0 : 1
})
`,
        [url],
      ),
  },
}

function python(script: string, args: readonly string[]): Promise<Program> {
  return run('python3', 'python3', ['-c', script, ...args])
}

function node(script: string, args: readonly string[]): Promise<Program> {
  return run('node', process.execPath, ['--input-type=module', '-e', `${MODULES}${script}`, ...args])
}

const MODULES = "import fs from 'node:fs'; import http from 'node:http'\n"

/** Skips the test where the client is not installed. */
async function needsClient(context: TestContext, name: string, { programs }: OldClient): Promise<void> {
  needs(context, ...programs)
  if (name !== 'Python requests') return
  const { code } = await (await python('import requests', [])).ended()
  // Without it the test fails in CI, as with any program that is missing.
  context.skip(
    code !== 0 && process.env['CI'] !== 'true',
    'needs the Python package requests, which is not installed',
  )
}

async function reserve(server: ServerHere): Promise<{ readonly url: string; readonly upload: string }> {
  const answer = await fetch(`${server.url}/reserve?filename=f.bin`, { method: 'POST' })
  const [url = '', upload = ''] = (await answer.text()).split('\n')
  return { url, upload }
}

async function fileOf(content: Uint8Array): Promise<string> {
  const path = join(await tempDir(), 'f.bin')
  await writeFile(path, content)
  return path
}

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`${name} sends by reservation and reads the verdict`, async (context) => {
    await needsClient(context, name, client)
    const server = await startServerHere('--reservations')
    const { url, upload } = await reserve(server)
    const sender = await client.send(upload, await fileOf(CONTENT))
    const received = await receiveBytes(url)
    expect(received.equals(CONTENT)).toBe(true)
    const ending = await sender.ended()
    expect(ending.stdout.toString()).toBe(`# delivered: ${CONTENT.length} bytes\n`)
    expect(ending.code, ending.stderr).toBe(0)
  })

  test(`${name} learns by its status that its receiver was lost`, async (context) => {
    await needsClient(context, name, client)
    const server = await startServerHere('--reservations')
    const { url, upload } = await reserve(server)
    const sender = await client.send(upload, await fileOf(Buffer.alloc(24 * 1024 * 1024)))
    const receiver = await connectRaw(server.port)
    await receiver.write(`GET ${new URL(url).pathname} HTTP/1.1\r\nHost: h\r\n\r\n`)
    await receiver.until(/\0{100}/)
    receiver.reset()
    const ending = await sender.ended()
    expect(ending.code).not.toBe(0)
    expect(ending.stdout.toString()).not.toContain('delivered')
  })

  test(`${name} receives`, async (context) => {
    await needsClient(context, name, client)
    const server = await startServerHere('--reservations')
    const { url, upload } = await reserve(server)
    // It may come first, and waits for the sender then.
    const receiver = await client.receive(url)
    const answer = await fetch(upload, { method: 'PUT', body: CONTENT })
    expect([answer.status, await answer.text()]).toEqual([200, `# delivered: ${CONTENT.length} bytes\n`])
    const ending = await receiver.ended()
    expect(ending.code, ending.stderr).toBe(0)
    expect(ending.stdout.equals(CONTENT)).toBe(true)
  })

  test(`${name} never takes a cut download for a whole one`, async (context) => {
    await needsClient(context, name, client)
    const server = await startServerHere()
    for (const framing of [SIZED, CHUNKED]) {
      const sender = await connectRaw(server.port)
      await sender.write(
        `POST / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAccept: application/x-ndjson\r\n${framing}\r\n\r\n`,
      )
      const [, url = ''] = await sender.until(/"url":"([^"]+)"/)
      const receiver = await client.receive(url)
      await sender.until(/"connected"/)
      await sender.write(framing === SIZED ? 'hello' : '5\r\nhello\r\n')
      // Some clients print nothing before the end, so it is the server that says when the bytes are out.
      await sender.until(/"bytes":5/)
      sender.reset()
      expect((await receiver.ended()).code, framing).not.toBe(0)
    }
  })
}

/** The bytes of a download, by a client that is known to be good. */
async function receiveBytes(url: string): Promise<Buffer> {
  const answer = await fetch(url)
  expect(answer.status).toBe(200)
  return Buffer.from(await answer.arrayBuffer())
}

test('an HTTP/1.0 sender gets no early response, is shown another way, and goes it', async (context) => {
  needs(context, 'curl')
  const server = await startServerHere('--reservations')
  const file = await fileOf(CONTENT)
  const refused = await runCurl(['-0', '-i', '--data-binary', `@${file}`, `${server.url}/`])
  const words = (await refused.ended()).stdout.toString()
  expect(words).toMatch(/^HTTP\/1\.[01] 505 /)
  expect(words).toContain(`curl -X POST ${server.url}/reserve`)
  const { url, upload } = await reserve(server)
  const sender = await runCurl(['-0', '-f', '-T', file, upload])
  expect((await receiveBytes(url)).equals(CONTENT)).toBe(true)
  expect(await sender.ended()).toMatchObject({ code: 0 })
})

test('wget2, which shows no early response, is told to reserve, and is told the verdict then', async (context) => {
  needs(context, 'wget2')
  const server = await startServerHere('--reservations')
  const file = await fileOf(CONTENT)
  const post = (to: string) =>
    run('wget2', 'wget2', ['-O', '-', '--content-on-error', `--post-file=${file}`, to])
  // It reports on stdout too, and its Host has no port.
  const refused = (await (await post(`${server.url}/`)).ended()).stdout.toString()
  expect(refused).toMatch(/curl -X POST \S+\/reserve.* \[reservation-required\]/s)
  expect(refused).toContain('HTTP ERROR response 409')
  const whole = await reserve(server)
  const sender = await post(whole.upload)
  expect((await receiveBytes(whole.url)).equals(CONTENT)).toBe(true)
  expect((await sender.ended()).stdout.toString()).toContain(`# delivered: ${CONTENT.length} bytes\n`)
  // It exits with 0 whatever the status is, but for 404.
  const cancelled = await reserve(server)
  const loser = await post(cancelled.upload)
  expect((await fetch(cancelled.upload, { method: 'DELETE' })).status).toBe(204)
  const lost = (await loser.ended()).stdout.toString()
  expect(lost).toMatch(/HTTP ERROR response 4(?:04|10) /)
  expect(lost).not.toContain('delivered')
})

test('an HTTP/1.0 receiver gets what has a length, and nothing else', async (context) => {
  needs(context, 'curl')
  const server = await startServerHere('--reservations')
  const known = await reserve(server)
  const receiver = await runCurl(['-0', '-f', known.url])
  const answer = await fetch(known.upload, { method: 'PUT', body: CONTENT })
  expect(answer.status).toBe(200)
  const ending = await receiver.ended()
  expect(ending.code, ending.stderr).toBe(0)
  expect(ending.stdout.equals(CONTENT)).toBe(true)
  const sender = await connectRaw(server.port)
  await sender.write(
    `POST / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  )
  const [, url = ''] = await sender.until(/^(http:\S+)$/m)
  const other = await runCurl(['-0', '-i', url])
  expect((await other.ended()).stdout.toString()).toMatch(/^HTTP\/1\.[01] 505 /)
  // It was refused before anything was consumed.
  expect(sender.text()).not.toContain('connected')
})

test('wget reserves, and a reservation that is cancelled gives its receiver nothing', async (context) => {
  needs(context, 'wget')
  const server = await startServerHere('--reservations')
  const reserved = await run('wget', 'wget', ['-q', '-O', '-', '--post-data=', `${server.url}/reserve`])
  const [url = '', upload = ''] = (await reserved.ended()).stdout.toString().split('\n')
  const receiver = await run('wget', 'wget', ['-q', '-t', '1', '-O', '-', url])
  expect((await fetch(upload, { method: 'DELETE' })).status).toBe(204)
  const ending = await receiver.ended()
  expect(ending.code).not.toBe(0)
  expect(ending.stdout).toHaveLength(0)
})
