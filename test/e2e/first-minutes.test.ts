import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import { NO_CLIENT_LIMITS } from '../helpers/start-server.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import {
  binFolder,
  type Entry,
  formatTranscripts,
  type Place,
  parseTranscripts,
  playEntry,
} from '../helpers/transcripts.js'

const FILE = fileURLToPath(new URL('first-minutes.txt', import.meta.url))
/** Set it to write the file as it is now. */
const IS_UPDATE = process.env['UPDATE_TRANSCRIPTS'] === '1'
/** Enough of the machine stays for what runs beside it. */
const AT_ONCE = 6
/** What a token file holds; the commands in the transcripts say it too. */
const TOKEN = 'the-right-token-of-all'

beforeEach((context) => {
  needs(context, 'script', 'bash', 'curl', 'wget', 'tar', 'openssl')
  if (process.geteuid?.() === 0) needs(context, 'setpriv')
})

/** Another website, one page of which has moved. */
const website: RequestListener = ({ url = '' }, response) => {
  if (url.startsWith('/old')) response.writeHead(301, { location: 'http://send.example.org/' }).end()
  else response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>\n')
}

async function portOf(server: Server, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, host, resolve)
  })
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port // It listens on a port.
}

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  const port = await portOf(server, '127.0.0.1')
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The addresses that the transcripts name. */
async function openPlace(): Promise<Place> {
  const folder = await tempDir()
  const tokens = join(folder, 'tokens')
  await writeFile(tokens, `${TOKEN}\n`)
  const { key, cert, keyPath, path } = await certificate()
  const [usual, small, closed, secure] = await Promise.all([
    startServerHere('--reservations', ...NO_CLIENT_LIMITS),
    startServerHere('--max-upload-bytes', '1MB', ...NO_CLIENT_LIMITS),
    startServerHere('--send-tokens', tokens, ...NO_CLIENT_LIMITS),
    startServerHere('--tls-cert', path, '--tls-key', keyPath, ...NO_CLIENT_LIMITS),
  ])
  return {
    bin: await binFolder(),
    ports: {
      9000: usual.port,
      9001: small.port,
      9002: closed.port,
      9009: await freePort(),
      9443: secure.port,
      // The certificate is for localhost and 127.0.0.1.
      9444: await portOf(createTlsServer({ key, cert }, website), '127.0.0.2'),
      8080: await portOf(createServer(website), '127.0.0.1'),
    },
    certificate: path,
  }
}

/** In some containers, every user may listen on port 80. */
function isPlayable({ title }: Entry): boolean {
  if (!/privileged/.test(title)) return true
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) > 80
  } catch {
    // Not Linux.
    return false
  }
}

test('every line that a user gets wrong in the first minutes is answered with what to do next', async () => {
  const text = await readFile(FILE, 'utf8')
  const { prose, entries } = parseTranscripts(text)
  const place = await openPlace()
  const played: string[] = []
  const waiting = [...entries.entries()]
  const play = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, entry] = next
      played[index] = isPlayable(entry) ? await playEntry(entry, place) : entry.text
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, play))
  const now = formatTranscripts(prose, played)
  if (IS_UPDATE) await writeFile(FILE, now)
  else expect(now).toBe(text)
})

test('there are forty of them, each with a title of its own', async () => {
  const { entries } = parseTranscripts(await readFile(FILE, 'utf8'))
  expect(entries.length).toBeGreaterThanOrEqual(40)
  expect(new Set(entries.map(({ title }) => title)).size).toBe(entries.length)
})
