import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { EXIT_STATUS, parseContentDisposition } from '../../shared/index.js'
import { bytesOf, sha256 } from '../helpers/bytes.js'
import { expectQuietNode } from '../helpers/child-env.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { run } from '../helpers/run.js'
import { ESS, runEss } from '../helpers/run-ess.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'

const BODY = bytesOf(1000)

/** What a sender calls it, and what a receiver is told. Undefined: no name at all. */
const NAMES: readonly {
  readonly what: string
  readonly sent: string
  readonly received: string | undefined
}[] = [
  { what: 'a plain name', sent: 'notes.pdf', received: 'notes.pdf' },
  { what: 'spaces', sent: 'my notes (2).pdf', received: 'my notes (2).pdf' },
  { what: 'double quotes', sent: 'a "quoted" name.txt', received: 'a "quoted" name.txt' },
  { what: 'single quotes', sent: "it's.txt", received: "it's.txt" },
  { what: 'a percent sign', sent: '100%41.txt', received: '100%41.txt' },
  { what: 'a semicolon', sent: 'a; filename=b.txt', received: 'a; filename=b.txt' },
  { what: 'a question mark and a hash', sent: 'what?#.txt', received: 'what?#.txt' },
  { what: 'a newline', sent: 'a\r\nX-Injected: yes\r\n\r\nb.txt', received: 'aX-Injected: yesb.txt' },
  { what: 'control characters', sent: 'a\x00\x1b[31mb\x7f.txt', received: 'a[31mb.txt' },
  { what: 'slashes', sent: '../../etc/passwd', received: 'passwd' },
  { what: 'an absolute path', sent: '/etc/passwd', received: 'passwd' },
  { what: 'backslashes', sent: '..\\..\\windows\\system.ini', received: 'system.ini' },
  { what: 'a leading dot', sent: '.bashrc', received: 'bashrc' },
  { what: 'a leading dash', sent: '-rf', received: 'rf' },
  { what: 'nothing but dots', sent: '..', received: undefined },
  { what: 'nothing but a slash', sent: '/', received: undefined },
  { what: 'UTF-8', sent: 'naïve – 日本語 🎉.txt', received: 'naïve – 日本語 🎉.txt' },
  { what: 'a right-to-left override', sent: 'photo\u202egnp.exe', received: 'photognp.exe' },
  { what: '300 characters', sent: `${'n'.repeat(296)}.txt`, received: `${'n'.repeat(236)}.txt` },
  { what: '300 characters of UTF-8', sent: `${'é'.repeat(296)}.txt`, received: `${'é'.repeat(118)}.txt` },
]

/** The three ways a name can travel, each with the request that says it. */
const WAYS = [
  {
    way: 'the path',
    // A dot segment and an empty path are no names to any HTTP client.
    request: (name: string) => (/^[./]+$/.test(name) ? undefined : head(`PUT /${encodeURIComponent(name)}`)),
  },
  {
    way: 'Content-Disposition, filename*',
    request: (name: string) =>
      head('POST /', { 'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name)}` }),
  },
  {
    way: 'Content-Disposition, filename',
    request: (name: string) =>
      // A line break cannot be in a header at all, nor can most other control characters.
      hasControl(name)
        ? undefined
        : head('POST /', {
            'Content-Disposition': `attachment; filename="${latin1(name.replace(/["\\]/g, '\\$&'))}"`,
          }),
  },
  {
    way: '?filename=',
    request: (name: string) => head(`POST /?filename=${encodeURIComponent(name)}`),
  },
] as const

function head(line: string, headers: Readonly<Record<string, string>> = {}): string {
  return requestHead(line, { 'Content-Length': String(BODY.length), ...headers })
}

function hasControl(text: string): boolean {
  return [...text].some((character) => character < ' ' || character === '\x7f')
}

/** The UTF-8 bytes of a text, a character each, as they are on the wire. */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1')
}

async function send(server: ServerHere, request: string): Promise<{ sender: RawPeer; url: URL }> {
  const sender = await connectRaw(server.port)
  await sender.write(request)
  const [, url = ''] = await sender.until(/\r\n(http:\S+)\n/)
  await sender.write(BODY)
  return { sender, url: new URL(url) }
}

// One server for all names of a test: to start one for each took ten times as long as the transfers.
test.each(WAYS)('every name that travels through $way is safe', async ({ request }) => {
  const server = await startServerHere()
  const texts = NAMES.map((name) => ({ ...name, text: request(name.sent) }))
  expect(texts.filter(({ text }) => text !== undefined).length).toBeGreaterThan(10)
  for (const { what, received, text } of texts) {
    if (text === undefined) continue
    const { sender, url } = await send(server, text)
    const inUrl = url.pathname.split('/')[2]
    expect.soft(inUrl === undefined ? undefined : decodeURIComponent(inUrl), what).toBe(received)

    const answer = await exchange(server.port, requestHead(`GET ${url.pathname}`))
    const disposition = answer.headers['content-disposition'] ?? ''
    expect.soft(disposition, what).toMatch(/^attachment(;|$)/)
    // RFC 6266 and RFC 8187 allow nothing but printable ASCII here.
    expect.soft(disposition, what).toMatch(/^[\x20-\x7e]*$/)
    expect.soft(answer.headers, what).not.toHaveProperty('x-injected')
    expect.soft(parseContentDisposition(disposition), what).toBe(received)
    await sender.until(/# delivered: 1000 bytes\n/)
  }
})

test('`ess get` on a terminal writes a safe file for every name', { timeout: 120_000 }, async (context) => {
  needs(context, 'script')
  const server = await startServerHere()
  for (const { what, sent, received } of NAMES) {
    const { url } = await send(server, head(`POST /?filename=${encodeURIComponent(sent)}`))
    const cwd = await tempDir()
    // Only on a terminal does `ess get` choose a file by itself; `script` gives it one.
    const command = 'stty cols 80 rows 24; "$NODE" "$ESS" get "$URL"'
    const env = { NODE: process.execPath, ESS, URL: server.url + url.pathname }
    const program = await run('ess get', 'script', ['-qec', command, '/dev/null'], { cwd, env })
    const { code, stdout } = await program.ended()
    expectQuietNode('ess get', stdout.toString())
    expect.soft(code, `${what}: ${stdout}`).toBe(0)
    const files = await readdir(cwd)
    expect.soft(files, what).toEqual([received ?? expect.stringMatching(/^[\w.-]+$/)])
    expect.soft(sha256(await readFile(join(cwd, files[0] ?? ''))), what).toBe(sha256(BODY))
  }
})

// No argument of a program can have a NUL in it.
const TYPED_NAMES = NAMES.filter(({ sent }) => !sent.includes('\0'))

test('`ess send --name` hands on every name', { timeout: 120_000 }, async () => {
  const server = await startServerHere()
  for (const { what, sent, received } of TYPED_NAMES) {
    const sender = await runEss(server.url, ['send', `--name=${sent}`, '-'], { stdin: BODY })
    if (received === undefined) {
      expect.soft((await sender.ended()).code, what).toBe(EXIT_STATUS.usage)
      continue
    }
    const [, url = ''] = await sender.untilStdout(/^(http\S+)\n/)
    const { pathname } = new URL(url)
    expect.soft(decodeURIComponent(pathname.split('/')[2] ?? ''), what).toBe(received)
    const answer = await exchange(server.port, requestHead(`GET ${pathname}`))
    expect.soft(parseContentDisposition(answer.headers['content-disposition'] ?? ''), what).toBe(received)
    expect.soft((await sender.ended()).code, what).toBe(0)
  }
})
