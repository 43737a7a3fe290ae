import { setTimeout as delay } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectDelivered,
  expectReceived,
  sparseFile,
  startReceiver,
  startSender,
  TOOLS,
  untilReceiving,
} from '../helpers/peers.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { NO_CLIENT_LIMITS, startMeasured, type TestServer } from '../helpers/start-server.js'
import { needsProc } from '../helpers/unread.js'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

beforeEach((context) => {
  needs(context, 'curl')
  needsProc(context)
})

/** Samples the server's resident memory until `done`, and gives the highest. */
async function peakWhile(server: TestServer, done: Promise<unknown>): Promise<number> {
  let isDone = false
  const finish = () => {
    isDone = true
  }
  done.then(finish, finish)
  let peak = 0
  while (!isDone) {
    peak = Math.max(peak, await server.residentBytes())
    await delay(50)
  }
  await done
  return peak
}

describe.each(TOOLS)('4 GiB from %s to a slow receiver', (senderTool) => {
  test('leave the server within 64 MiB of the memory it started with', async () => {
    const server = await startMeasured('--max-upload-bytes', '0')
    // One small transfer first: the memory of the code itself, loaded and compiled, is not the transfer's.
    const first = await startSender('curl', server, { file: await sparseFile(MIB) })
    await expectReceived(await startReceiver('curl', first.url))
    await expectDelivered(first, MIB)
    const before = await server.residentBytes()

    const sender = await startSender(senderTool, server, { file: await sparseFile(4 * GIB) })
    const receiver = await connectReceiver('curl', sender, ['--limit-rate', '600M'])
    // Slower still: every second it is stopped for a while, so that whatever can pile up, does.
    const pauses = (async () => {
      await untilReceiving(receiver)
      for (let times = 0; times < 6; times++) {
        receiver.kill('SIGSTOP')
        await delay(500)
        receiver.kill('SIGCONT')
        await delay(500)
      }
    })()
    const peak = await peakWhile(server, expectDelivered(sender, 4 * GIB, 55_000))
    await pauses
    await expectReceived(receiver)
    expect((peak - before) / MIB).toBeLessThan(64)
  })
})

describe('1,000 waiting sockets that have pushed into every buffer', () => {
  const SOCKETS = 1000
  /** More than the server reads of a body that nobody wants yet, so what it holds of each is all it ever will. */
  const PUSHED = Buffer.alloc(256 * KIB)

  async function openWaiting(
    server: TestServer,
    count: number,
    headers: Record<string, string>,
    body: Uint8Array,
  ) {
    const peers: RawPeer[] = []
    for (let index = 0; index < count; index++) {
      const peer = await connectRaw(server.port)
      await peer.write(requestHead('POST /', headers))
      await peer.until(/# waiting/)
      await peer.write(body)
      peers.push(peer)
    }
    return peers
  }

  test.each([
    { framing: 'Content-Length', headers: { 'Content-Length': String(GIB) }, body: PUSHED },
    {
      framing: 'chunked',
      headers: { 'Transfer-Encoding': 'chunked' },
      body: Buffer.concat([Buffer.from(`${PUSHED.length.toString(16)}\r\n`), PUSHED, Buffer.from('\r\n')]),
    },
  ])(
    'cost the server less than 64 KiB each, and later ones less than 32 ($framing)',
    async ({ headers, body }) => {
      const server = await startMeasured(...NO_CLIENT_LIMITS)
      const atStart = await server.residentBytes()
      // The first ones pay for the code, compiled.
      await openWaiting(server, SOCKETS, headers, body)
      const before = await server.residentBytes()
      expect((before - atStart) / SOCKETS / KIB).toBeLessThan(64)
      await openWaiting(server, SOCKETS, headers, body)
      const after = await server.residentBytes()
      expect((after - before) / SOCKETS / KIB).toBeLessThan(32)
    },
  )
})
