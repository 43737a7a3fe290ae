import { readFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { createService } from '../../server/index.js'
import { GEARS } from '../../server/relay/gears/pump.js'
import { bytesOf } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { connectRaw, type RawPeer, speakTls } from '../helpers/raw-peer.js'
import { RECEIVERS, type Receiver } from '../helpers/receivers.js'
import { run } from '../helpers/run.js'
import { NO_CLIENT_LIMITS, startServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { needsProc } from '../helpers/unread.js'
import { until, within } from '../helpers/within.js'
import { eventsOf, LAST_CHUNK, openSender, type RawSender } from '../server/serve.js'

/** Transfers, each of another program, another way, or another fate. */
const RUNS = numberOf('ESS_TOLD_RUNS', 150)
/** The same one gives the same transfers. */
const SEED = numberOf('ESS_TOLD_SEED', Date.now() % 2 ** 31)
const AT_ONCE = 6
/** A program that has to be loaded first, on a busy machine. */
const RUN_MS = 30_000

/** What the kernels on the way hold, whatever the receiver does. */
const SMALL = 30_000
const LARGE = 3_000_000

/** What comes of a program that receives. */
const FATES = ['whole', 'slow', 'killed midway', 'killed with all unread'] as const
/** What a scripted receiver does when the last byte was sent. */
const SCRIPTS = [
  'reads all and closes',
  'reads until the server ends',
  'reads all and resets',
  'resets with all unread',
  'exits with its last bytes unread',
] as const

/** Reads the first byte of a body, and whatever its TLS has to read for that; it exits when it is told to. */
const QUITTER = `
import os, socket, ssl, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
connection = socket.create_connection((url.hostname, url.port))
if url.scheme == 'https':
    connection = ssl.create_default_context().wrap_socket(connection, server_hostname=url.hostname)
connection.sendall(f'GET {url.path} HTTP/1.1\\r\\nHost: {url.netloc}\\r\\n\\r\\n'.encode())
head = b''
while not b'\\r\\n\\r\\n' in head[:-1]:
    head += connection.recv(1)
print('read', flush=True)
sys.stdin.read()
os._exit(0)`
const RECORD_BYTES = 16 * 1024

interface Transfer {
  readonly fate: (typeof FATES)[number]
  readonly script: (typeof SCRIPTS)[number]
  readonly size: number
  readonly isChunked: boolean
}

const transfers: fc.Arbitrary<Transfer> = fc.record({
  fate: fc.oneof(
    { weight: 3, arbitrary: fc.constant('whole' as const) },
    { weight: 4, arbitrary: fc.constantFrom(...FATES) },
  ),
  script: fc.constantFrom(...SCRIPTS),
  size: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 1, max: SMALL }) },
    { weight: 1, arbitrary: fc.integer({ min: SMALL, max: LARGE }) },
  ),
  isChunked: fc.boolean(),
})

/** Where a transfer can go: the ports to send and to receive by. */
interface Place {
  readonly name: string
  readonly sendPort: number
  readonly receivePort: number
  readonly isTls: boolean
  /** HTTP/2 too, over TLS. */
  readonly hasHttp2: boolean
}

function numberOf(variable: string, otherwise: number): number {
  const value = Number(process.env[variable] || otherwise)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new Error(`${variable} must be a whole number, not ${process.env[variable]}.`)
}

beforeEach((context) => {
  needsProc(context)
  needs(context, 'openssl', ...RECEIVERS.map(({ program }) => program).filter((name) => !name.includes('/')))
})

test('every sender is told what became of its file, by every receiving program and every end of it', {
  timeout: 60_000 + RUNS * 2000,
}, async () => {
  console.log(`told truly: ESS_TOLD_SEED=${SEED} ESS_TOLD_RUNS=${RUNS}`)
  const pair = await certificate()
  const places = await startPlaces(pair)
  const folder = await tempDir()
  const env = { NODE_EXTRA_CA_CERTS: pair.path, SSL_CERT_FILE: pair.path }
  // A scripted peer for each program, so that half of what goes wrong goes wrong at an exact moment.
  const ways = places.flatMap((place) => [
    ...RECEIVERS.filter(({ version }) => version === undefined || place.hasHttp2).map((receiver) => ({
      place,
      receiver,
    })),
    ...SCRIPTS.map(() => ({ place, receiver: undefined })),
  ])
  const shuffled = fc.sample(fc.shuffledSubarray(ways, { minLength: ways.length }), {
    seed: SEED,
    numRuns: 1,
  })
  const [order = []] = shuffled
  const told = new Map<string, number>()
  const lies: string[] = []
  const queue = [...fc.sample(transfers, { seed: SEED, numRuns: RUNS }).entries()]

  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, transfer] = next
      const way = order[index % order.length]
      if (way === undefined) throw new Error('Expected a way for every transfer')
      const { place, receiver } = way
      const words =
        `${index}: ${receiver?.name ?? `a peer that ${transfer.script}`} from ${place.name}, ` +
        `${transfer.size} bytes${transfer.isChunked ? ' in chunks' : ''}`
      const path = join(folder, `${index}.bin`)
      const { isWhole, verdict } = await (receiver === undefined
        ? playScript(place, transfer, env)
        : playProgram(place, receiver, transfer, path, env)
      ).catch((cause: unknown) => {
        throw new Error(`${words}, ${transfer.fate}: ${cause}`, { cause })
      })
      const expected = isWhole ? 'delivered' : 'failed: receiver-lost'
      if (verdict !== expected) lies.push(`${words}, ${transfer.fate}: ${verdict}, and it is ${expected}`)
      told.set(verdict, (told.get(verdict) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  console.log(`told truly: ${[...told].map(([verdict, count]) => `${count} × ${verdict}`).join(', ')}`)
  expect(lies).toEqual([])
})

/** A server with TLS, one of plain HTTP for each gear, and a server of Node's own with a service in it. */
async function startPlaces(pair: Awaited<ReturnType<typeof certificate>>): Promise<Place[]> {
  const secure = await startServer('--tls-cert', pair.path, '--tls-key', pair.keyPath, ...NO_CLIENT_LIMITS)
  speakTls(secure.port)
  const plain = GEARS.map(async (gear) => {
    const { port } = await startServer('--relay', gear, ...NO_CLIENT_LIMITS)
    return { name: `plain HTTP by ${gear}`, sendPort: port, receivePort: port, isTls: false, hasHttp2: false }
  })
  const service = createService({ maxSocketsPerClient: 0, maxWaitingPerClient: 0, maxMissesPerClient: 0 })
  await service.relay.ready()
  onTestFinished(() => service.stopNow())
  // Its senders come without TLS, so that two gears are there for a receiver with it.
  const sendPort = await listenOn(createHttpServer(service.handler))
  const receivePort = await listenOn(createHttpsServer(pair, service.handler))
  speakTls(receivePort)
  return [
    { name: 'TLS', sendPort: secure.port, receivePort: secure.port, isTls: true, hasHttp2: true },
    { name: 'an https server of the embedder’s', sendPort, receivePort, isTls: true, hasHttp2: false },
    ...(await Promise.all(plain)),
  ]
}

async function listenOn(server: Server & { closeAllConnections(): void }): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await within(RUN_MS, 'it closes', new Promise((resolve) => server.close(resolve)))
  })
  // A server that listens on TCP has this kind of address.
  return (server.address() as AddressInfo).port
}

interface Ending {
  /** Whether the receiver took all of it, and left in good order. */
  readonly isWhole: boolean
  readonly verdict: string
}

async function playProgram(
  place: Place,
  { name, program, args, isReadByChild }: Receiver,
  { fate: drawn, size, isChunked }: Transfer,
  path: string,
  env: Readonly<Record<string, string>>,
): Promise<Ending> {
  const fate = isReadByChild === true ? 'whole' : drawn
  // All of it has to fit into the kernels on the way where nobody reads it.
  const bytes = bytesOf(fate === 'slow' || fate === 'killed with all unread' ? Math.min(size, SMALL) : size)
  const sender = await openSender(place.sendPort, isChunked ? {} : { length: bytes.length })
  const receiver = await run(name, program, args(urlOf(place, sender), path), { env })
  await Promise.race([
    sender.until(/"event":"connected"/, RUN_MS),
    receiver.ended(RUN_MS).then(({ code, stderr }) => {
      // One that has it all can't have ended: nothing was sent.
      throw new Error(`it exits with ${code} before its transfer begins: ${stderr}`)
    }),
  ])
  const half = fate === 'killed midway' ? Math.ceil(bytes.length / 2) - 1 : 0
  if (fate === 'slow' || fate === 'killed with all unread') {
    receiver.kill('SIGSTOP')
    await until(`${name} stands still`, async () => (await stateOf(receiver.pid)) === 'T')
  }
  if (fate === 'killed midway') {
    await sender.write(framed(bytes.subarray(0, half), isChunked))
    receiver.kill('SIGKILL')
    await receiver.ended()
  }
  // A sender that is cut off while it writes reads why.
  const rest = [framed(bytes.subarray(half), isChunked), ...(isChunked ? [LAST_CHUNK] : [])]
  const written = sender.write(Buffer.concat(rest.map((part) => Buffer.from(part)))).catch(() => undefined)
  if (fate === 'slow' || fate === 'killed with all unread') {
    await untilHandedOn(sender, bytes.length)
    receiver.kill(fate === 'slow' ? 'SIGCONT' : 'SIGKILL')
  }
  const verdict = await verdictOf(sender)
  await written
  const { code, stderr } = await receiver.ended(RUN_MS)
  if (fate.startsWith('killed')) return { isWhole: false, verdict }
  const isSame = code === 0 && (await readFile(path)).equals(bytes)
  // Neither side has done anything to it.
  if (!isSame)
    throw new Error(`it exits with ${code}, and has not got the file; sender: ${verdict}; ${stderr}`)
  return { isWhole: true, verdict }
}

async function playScript(
  place: Place,
  { script, size, isChunked }: Transfer,
  env: Readonly<Record<string, string>>,
): Promise<Ending> {
  const isQuitter = script === 'exits with its last bytes unread'
  // More than the one record of TLS that its first bytes come in.
  const bytes = bytesOf(isQuitter ? RECORD_BYTES + 1 + (size % SMALL) : Math.min(size, SMALL))
  const sender = await openSender(place.sendPort, isChunked ? {} : { length: bytes.length })
  const send = async () => {
    await sender.until(/"event":"connected"/, RUN_MS)
    await sender.write(framed(bytes, isChunked))
    if (isChunked) await sender.write(LAST_CHUNK)
  }
  if (isQuitter) {
    const quitter = await run('a quitter', 'python3', ['-c', QUITTER, urlOf(place, sender)], {
      stdin: 'open',
      env,
    })
    await send()
    await quitter.untilStdout(/read/, RUN_MS)
    await untilHandedOn(sender, bytes.length)
    quitter.stdin.end()
    return { isWhole: false, verdict: await verdictOf(sender) }
  }
  const isReader = script.startsWith('reads')
  const receiver = await connectRaw(place.receivePort, { paused: !isReader })
  await receiver.write(requestHead(`GET /${sender.id}`))
  await send()
  if (isReader) await untilRead(receiver, bytes.length, isChunked)
  else await untilHandedOn(sender, bytes.length)
  if (script === 'reads until the server ends') await receiver.ending()
  const isReset = script.includes('resets')
  if (isReset) receiver.reset()
  else receiver.end()
  return { isWhole: !isReset, verdict: await verdictOf(sender) }
}

function urlOf({ isTls, receivePort }: Place, { id }: RawSender): string {
  return `http${isTls ? 's' : ''}://127.0.0.1:${receivePort}/${id}/f.bin`
}

/** Empty parts of a chunked body would be its end. */
function framed(bytes: Buffer, isChunked: boolean): Buffer {
  if (!isChunked || bytes.length === 0) return bytes
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

/** All of it is with the receiver's kernel: what is sent to one of this machine is there at once. */
async function untilHandedOn(sender: RawSender, bytes: number): Promise<void> {
  if (bytes > 0) await sender.until(new RegExp(`"event":"progress","bytes":${bytes}[,}]`), RUN_MS)
}

/** Reads the whole body, with its last chunk. */
async function untilRead(receiver: RawPeer, size: number, isChunked: boolean): Promise<void> {
  await until('the receiver has read all', () => {
    const text = receiver.text()
    const body = text.length - text.indexOf('\r\n\r\n') - 4
    return isChunked ? text.endsWith(LAST_CHUNK) && body > size : text.includes('\r\n\r\n') && body === size
  })
}

async function verdictOf(sender: RawSender): Promise<string> {
  await sender.ending(RUN_MS)
  const last = eventsOf(sender).at(-1)
  if (last?.event === 'delivered') return last.confirmed ? 'delivered' : 'delivered, not confirmed'
  if (last?.event === 'failed') return `failed: ${last.problem.type.replace(/.*:/, '')}`
  return `no verdict, but ${last?.event}`
}

/** The state of a process, by proc(5)'s letter. */
async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  return /\) (\S)/.exec(stat)?.[1]
}
