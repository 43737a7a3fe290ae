import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOf, sha256 } from '../helpers/bytes.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { NO_CLIENT_LIMITS, startServer, type TestServer } from '../helpers/start-server.js'
import { until } from '../helpers/within.js'
import { readAnswers } from './answers.js'
import { type Attempt, attempts, PLACES } from './requests.js'
import { speak } from './wire.js'

/** Of connections, on each of the two servers. */
const RUNS = numberOf('ESS_FUZZ_RUNS', 20_000)
/** The same one gives the same requests. */
const SEED = numberOf('ESS_FUZZ_SEED', Date.now() % 2 ** 31)
/** So many connections are open at the same time. */
const CLIENTS = 96

/** The longest that the server waits for anybody here: 30 s for a receiver that neither closes nor resets. */
const GONE_MS = 45_000

/** What one connection moves on of the transfer that runs beside. */
const SLICE_BYTES = 2048

function numberOf(variable: string, otherwise: number): number {
  const value = Number(process.env[variable] || otherwise)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new Error(`Expected ${variable} to be a whole number, got ${process.env[variable]}`)
}

/** With waits that end soon, no limit on the size, and everything on that can be asked for. */
const FLAGS = [
  '--reservations',
  '--ttl',
  '0.4',
  '--stall-timeout',
  '15',
  '--max-upload-bytes',
  '0',
  '--log',
  'json',
  // The shares of one client have tests of their own.
  ...NO_CLIENT_LIMITS,
]

test.each(['auto', 'streams'])(
  'a server that relays by %s survives whatever is said to it, and a transfer beside it is whole',
  { timeout: 180_000 + RUNS * 20 },
  async (relay) => {
    // Whatever happens, this is how to see it again.
    console.log(`fuzz: ESS_FUZZ_SEED=${SEED} ESS_FUZZ_RUNS=${RUNS}, by ${relay}`)
    const server = await startServer(...FLAGS, '--relay', relay)
    await expectToBroker(server)
    const descriptors = await countDescriptors(server)
    const beside = await startBeside(server)
    const statuses = new Map<number, number>()
    let failure: Error | undefined

    const fuzz = async (attempt: Attempt) => {
      const { settled, release } = await settle(server, attempt)
      const spoken = await speak(server.port, settled).finally(release)
      for (const status of spoken.flatMap(readAnswers)) statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (!isAlive(server)) throw new Error(`The server is gone: ${server.stderr().slice(-3000)}`)
      await beside.moveOn()
    }
    const client = (index: number) => {
      const property = fc.asyncProperty(attempts, async (attempt) => {
        // Not one more: the first failure is the one to look at. Nor is a smaller one looked for: each that hangs
        // takes its 20 s, while the transfer beside stands still and is ended for that.
        if (failure !== undefined) return
        await fuzz(attempt).catch((cause: unknown) => {
          failure ??= new Error(`${cause}\nESS_FUZZ_SEED=${SEED}: ${quoteAttempt(attempt)}`, { cause })
        })
      })
      return fc.assert(property, {
        seed: SEED + index,
        numRuns: Math.ceil(RUNS / CLIENTS),
        interruptAfterTimeLimit: 120_000 + RUNS * 20,
        markInterruptAsFailure: true,
      })
    }
    await Promise.all(Array.from({ length: CLIENTS }, (_none, index) => client(index)))
    if (failure !== undefined) throw failure

    await beside.finish()
    console.log(
      `fuzz: ${[...statuses]
        .sort()
        .map(([status, count]) => `${count} × ${status}`)
        .join(', ')}`,
    )
    await expectToBroker(server)
    expect(
      server
        .stderr()
        .split('\n')
        .filter((line) => /"msg":"bug"|"level":(?:50|60)/.test(line)),
    ).toEqual([])
    await until(
      'every descriptor is closed again',
      async () => (await countDescriptors(server)) <= descriptors,
      GONE_MS,
    )
  },
)

/** The attempt, with the names of sockets that are there at this moment. */
async function settle(
  server: TestServer,
  attempt: Attempt,
): Promise<{ settled: Attempt; release: () => void }> {
  let { bytes } = attempt
  let release = () => {}
  if (bytes.includes(PLACES.reservation) || bytes.includes(PLACES.token)) {
    const answer = await exchange(server.port, requestHead('POST /reserve'))
    const [, id = ''] = /^http:\/\/localhost\/(\S+)\n/.exec(answer.body) ?? []
    const [, token = ''] = /\/uploads\/(\S+)\n/.exec(answer.body) ?? []
    bytes = bytes.replaceAll(PLACES.reservation, id).replaceAll(PLACES.token, token)
  }
  if (bytes.includes(PLACES.sender)) {
    const sender = await connectRaw(server.port)
    await sender.write(`${requestHead('PUT /a.txt', { 'Content-Length': '5' })}hello`)
    const [, id = ''] = await sender.until(/\r\nhttp:\/\/localhost\/([^/\s]+)/)
    bytes = bytes.replaceAll(PLACES.sender, id)
    release = () => sender.reset()
  }
  return { settled: { ...attempt, bytes }, release }
}

/** A transfer that moves on with every connection of the fuzzers, and so lasts as long as they do. */
async function startBeside(server: TestServer) {
  const file = bytesOf(4 * 1024 * 1024)
  const sent = createHash('sha256')
  let bytes = 0
  const sender = await connectRaw(server.port)
  await sender.write(
    requestHead('POST /', { 'Transfer-Encoding': 'chunked', Accept: 'application/x-ndjson' }),
  )
  const [, id] = await sender.until(/"id":"([^"]+)"/)
  const receiver = await connectRaw(server.port)
  await receiver.write(requestHead(`GET /${id}`))
  await sender.until(/"connected"/)
  return {
    async moveOn(): Promise<void> {
      const from = bytes % (file.length - SLICE_BYTES)
      const slice = file.subarray(from, from + SLICE_BYTES)
      bytes += slice.length
      sent.update(slice)
      const framed = [Buffer.from(`${slice.length.toString(16)}\r\n`), slice, Buffer.from('\r\n')]
      await sender.write(Buffer.concat(framed)).catch((cause: unknown) => {
        throw new Error(`The transfer beside has ended: ${sender.text().slice(-500)}`, { cause })
      })
    },
    async finish(): Promise<void> {
      await sender.write('0\r\n\r\n')
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      await sender.until(new RegExp(`"event":"delivered","bytes":${bytes},"confirmed":true`))
      sender.end()
      const { body } = parseAnswer(receiver.text())
      expect(sha256(Buffer.from(body, 'latin1'))).toBe(sent.digest('hex'))
    },
  }
}

async function expectToBroker(server: TestServer): Promise<void> {
  const sender = await connectRaw(server.port)
  await sender.write(`${requestHead('POST /', { 'Content-Length': '5' })}hello`)
  const [, id] = await sender.until(/\r\nhttp:\/\/localhost\/(\S+)/)
  expect(await exchange(server.port, requestHead(`GET /${id}`))).toMatchObject({ status: 200, body: 'hello' })
  await sender.until(/# delivered: 5 bytes\n/)
  sender.end()
  await sender.ending()
}

/** In one line, and without the long rest of a body. */
function quoteAttempt({ bytes, cuts, after }: Attempt): string {
  return JSON.stringify({ after, cuts, length: bytes.length, bytes: bytes.slice(0, 600) })
}

function isAlive({ pid }: TestServer): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    // ESRCH: there is no such process any more.
    return false
  }
}

/** Where there is no /proc, none: the same at the start and at the end. */
async function countDescriptors({ pid }: TestServer): Promise<number> {
  return process.platform === 'linux' ? (await readdir(`/proc/${pid}/fd`)).length : 0
}
