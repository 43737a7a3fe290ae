import { randomInt } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { brokerOf } from '../../../../server/embed.js'
import {
  createService,
  type EmbeddedService,
  listen,
  type ServiceOptions,
  type SocketStats,
} from '../../../../server/index.js'
import { RawBody } from '../../../../server/relay/gears/raw-body.js'
import { bytesOf, sha256 } from '../../../helpers/bytes.js'
import { certificate } from '../../../helpers/certificate.js'
import { connectHttp2 } from '../../../helpers/http2-peer.js'
import { needs } from '../../../helpers/needs.js'
import { connectRaw, type RawPeer, speakTls } from '../../../helpers/raw-peer.js'
import { DEADLINE_MS, until, within } from '../../../helpers/within.js'
import {
  bodyOf,
  chunk,
  connectReceiver,
  expectSenderFailed,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type RawSender,
  senderHead,
  untilNoneMoves,
} from '../../serve.js'
import { framed, unframed } from './framing.js'

const KIB = 1024
const MIB = 1024 * KIB

beforeEach((context) => needs(context, 'openssl'))

/** A server with TLS, whose senders speak HTTP/1.1. */
async function start(options: ServiceOptions = {}) {
  const { path: certFile, keyPath: keyFile } = await certificate()
  const service = createService({ relay: 'streams', ...options })
  const server = await listen(service, { port: 0, tls: { certFile, keyFile } })
  onTestFinished(() => within(DEADLINE_MS, 'the server stops', server.stopNow()))
  speakTls(server.port)
  const ends: SocketStats[] = []
  for (const event of ['socket:end', 'socket:timeout', 'error:socket'] as const)
    service.on(event, (_socket, stats) => ends.push(stats))
  const end = async () => {
    await until('a socket has ended', () => ends.length > 0)
    return ends[0]
  }
  return { port: server.port, end, ways: spyOnWays(service) }
}

/** Whether Node's parser was left out of each body so far. */
function spyOnWays(service: EmbeddedService): () => boolean[] {
  const take = vi.spyOn(brokerOf(service).relay, 'take')
  return () => take.mock.results.map(({ value }) => value instanceof RawBody && value.way === 'stream')
}

describe.each(['HTTP/1.1', 'HTTP/2'] as const)('over TLS, to a receiver by %s', (version) => {
  async function receive(port: number, sender: RawSender): Promise<RawPeer> {
    if (version === 'HTTP/1.1') return await connectReceiver(port, sender)
    const receiver = await connectHttp2(port)
    await receiver.write(`GET /${sender.id} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await sender.until(/"event":"connected"/)
    return receiver
  }

  describe.each(['known length', 'chunks'])('a body of %s', (framing) => {
    const isKnown = framing === 'known length'
    const wireOf = (bytes: Buffer) => (isKnown ? bytes : framed(bytes))
    const open = (port: number, size: number) => openSender(port, isKnown ? { length: size } : {})
    /** By what it has: a peer of Node's over TLS may take a reset behind other bytes for an end. */
    const expectCut = (receiver: RawPeer) => {
      if (isKnown) expect(bodyOf(receiver).length).toBeLessThan(2 * MIB)
      else expect(bodyOf(receiver)).not.toMatch(/\r\n0\r\n\r\n$/)
    }
    const fileOf = (receiver: RawPeer) =>
      Buffer.from(isKnown ? bodyOf(receiver) : unframed(bodyOf(receiver)), 'latin1')

    test.each([1, 64 * KIB + 1, 9 * MIB + 3])(
      'of %i bytes comes byte for byte, however it is sent',
      async (size) => {
        const { port, end, ways } = await start()
        const bytes = bytesOf(size)
        const wire = wireOf(bytes)
        const sender = await open(port, size)
        // Some of it is there before anybody wants it.
        let at = randomInt(Math.min(size, 3 * KIB))
        await sender.write(wire.subarray(0, at))
        const receiver = await receive(port, sender)
        while (at < wire.length) {
          const piece = wire.subarray(at, at + randomInt(1, 400 * KIB))
          at += piece.length
          await sender.write(piece)
        }
        expect(await receiver.ending()).toBe('fin')
        receiver.end()
        expect(await end()).toMatchObject({ outcome: 'delivered', bytes: size, gear: 'streams' })
        expect(sha256(fileOf(receiver))).toBe(sha256(bytes))
        expect(ways()).toEqual([true])
        await sender.until(/"event":"delivered".*0\r\n\r\n$/s)
      },
    )

    test('waits for a receiver that stops, and loses nothing', async () => {
      const { port, end } = await start()
      // More than all kernels and this process hold on the way.
      const size = 24 * MIB
      const bytes = bytesOf(size)
      const sender = await open(port, size)
      const receiver = await receive(port, sender)
      receiver.pause()
      const pushed = sender.write(wireOf(bytes), 4 * DEADLINE_MS)
      expect(await untilNoneMoves(sender)).toBeLessThan(size)
      expect(await receiver.ending(4 * DEADLINE_MS)).toBe('fin')
      receiver.end()
      await pushed
      expect(await end()).toMatchObject({ outcome: 'delivered', bytes: size })
      expect(sha256(fileOf(receiver))).toBe(sha256(bytes))
    })

    test('that is cut short is whole for neither side', async () => {
      const { port, end } = await start()
      const sender = await open(port, 2 * MIB)
      const receiver = await receive(port, sender)
      await sender.write(wireOf(bytesOf(2 * MIB)).subarray(0, MIB))
      await receiver.until(/\r\n\r\n.{1000}/s)
      sender.reset()
      await receiver.ending()
      expectCut(receiver)
      expect(await end()).toMatchObject({ outcome: 'sender-lost' })
    })

    test('that is ended in good order before it is whole is whole for neither side, and its sender reads why', async () => {
      const { port, end } = await start()
      const sender = await open(port, 2 * MIB)
      const receiver = await receive(port, sender)
      await sender.write(wireOf(bytesOf(2 * MIB)).subarray(0, MIB))
      await receiver.until(/\r\n\r\n.{1000}/s)
      sender.end()
      await receiver.ending()
      expectCut(receiver)
      await expectSenderFailed(sender, 'sender-lost', /closed its side of the connection before the end/)
      expect(await end()).toMatchObject({ outcome: 'sender-lost' })
    })

    test('that its receiver leaves fails, and its sender reads why', async () => {
      const { port, end } = await start()
      const sender = await open(port, 2 * MIB)
      const receiver = await receive(port, sender)
      await sender.write(wireOf(bytesOf(2 * MIB)).subarray(0, MIB))
      await receiver.until(/\r\n\r\n.{1000}/s)
      receiver.reset()
      await expectSenderFailed(sender, 'receiver-lost')
      expect(await end()).toMatchObject({ outcome: 'receiver-lost' })
    })

    test('whose sender closes its half when all is sent is delivered, and the verdict is read', async () => {
      const { port, end } = await start()
      const sender = await open(port, 64 * KIB)
      const receiver = await receive(port, sender)
      await sender.write(wireOf(bytesOf(64 * KIB)))
      expect(await receiver.ending()).toBe('fin')
      sender.end()
      receiver.end()
      await sender.until(/"event":"delivered"/)
      expect(await end()).toMatchObject({ outcome: 'delivered' })
    })

    test('ends where it ends: no byte behind it reaches the receiver', async () => {
      const { port, end } = await start()
      const bytes = bytesOf(64 * KIB)
      const sender = await open(port, bytes.length)
      const receiver = await receive(port, sender)
      await sender.write(
        Buffer.concat([wireOf(bytes), Buffer.from('GET /health HTTP/1.1\r\nHost: a\r\n\r\n')]),
      )
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      expect(sha256(fileOf(receiver))).toBe(sha256(bytes))
      await sender.until(/"event":"delivered".*0\r\n\r\n$/s)
      expect(await end()).toMatchObject({ outcome: 'delivered', bytes: bytes.length })
    })
  })

  test('a file of no chunk is delivered', async () => {
    const { port, end } = await start()
    const sender = await openSender(port)
    const receiver = await receive(port, sender)
    await sender.write(LAST_CHUNK)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(unframed(bodyOf(receiver))).toBe('')
    expect(await end()).toMatchObject({ outcome: 'delivered', bytes: 0 })
  })

  test('a chunk that is longer than it says fails both sides, and its trailer is not passed on', async () => {
    const { port, end } = await start()
    const sender = await openSender(port)
    const receiver = await receive(port, sender)
    await sender.write(chunk('half'))
    await receiver.until(/half/)
    await sender.write('5\r\nhello, world\r\n')
    expect(await receiver.ending()).toBe('rst')
    await expectSenderFailed(sender, 'bad-request', /a chunk longer than its size says/)
    expect(await end()).toMatchObject({ outcome: 'bad-request' })
  })

  test('trailers do not reach the receiver', async () => {
    const { port, end } = await start()
    const sender = await openSender(port)
    const receiver = await receive(port, sender)
    await sender.write(`${chunk('hello')}0\r\nSecret: of the sender\r\n\r\n`)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(unframed(bodyOf(receiver))).toBe('hello')
    expect(await end()).toMatchObject({ outcome: 'delivered', bytes: 5 })
  })

  test.each([
    ['its first byte', 0],
    ['bytes that were within the limit', 4],
  ])('more than the limit, after %s, fails both sides', async (_what, before) => {
    const { port, end } = await start({ maxUploadBytes: 5 })
    const sender = await openSender(port)
    const receiver = await receive(port, sender)
    if (before > 0) {
      await sender.write(chunk('half'))
      await receiver.until(/half/)
    }
    await sender.write(chunk('hello!'))
    await expectSenderFailed(sender, 'too-large')
    if (before > 0) expect(await receiver.ending()).toBe('rst')
    else await receiver.until(/ 502 .*The server refused this upload/s)
    expect(receiver.text()).not.toMatch(/hello/)
    expect(await end()).toMatchObject({ outcome: 'too-large' })
  })

  test.each([
    ['sender', 'sent'],
    ['receiver', 'took'],
  ])('a %s that stalls is told, and the other one', async (who, word) => {
    const { port, end } = await start({ stallTimeout: 1 })
    const sender = await openSender(port, { length: 24 * MIB })
    const receiver = await receive(port, sender)
    if (who === 'receiver') receiver.pause()
    // A sender that waits for its receiver is not the one that stalls.
    const sent = sender.write(bytesOf(who === 'receiver' ? 24 * MIB : MIB), 4 * DEADLINE_MS)
    sent.catch(() => undefined)
    expect(await end()).toMatchObject({ outcome: 'stalled' })
    await sender.until(new RegExp(`"event":"failed".*The ${who} ${word} nothing for 1 s, after `))
  })
})

describe('a sender over TLS that waits', () => {
  test('is told at once of a framing that is broken', async () => {
    const { port, end } = await start()
    const sender = await openSender(port)
    await sender.write('no size\r\n')
    await expectSenderFailed(sender, 'bad-request', /as the size of a chunk/)
    expect(await end()).toMatchObject({ outcome: 'bad-request' })
  })

  test('is lost when it leaves', async () => {
    const { port, end } = await start()
    const sender = await openSender(port)
    await sender.write(chunk('hello'))
    sender.end()
    await expectSenderFailed(sender, 'sender-lost')
    expect(await end()).toMatchObject({ outcome: 'sender-lost' })
  })

  test('and pushes all it can reads why it failed', async () => {
    const { port, end } = await start()
    const sender = await openSender(port, { length: 20 * MIB, target: 'POST /?ttl=0.5' })
    sender.write(bytesOf(20 * MIB)).catch(() => undefined)
    await sender.until(/"event":"failed".*expired/)
    expect(await end()).toMatchObject({ outcome: 'expired' })
  })
})

describe('Node’s parser stays where it is', () => {
  test.each([
    ['for less than 4 MiB over TLS', { length: 4 * MIB - 1 }, false],
    ['not for 4 MiB', { length: 4 * MIB }, true],
    ['not for chunks', {}, true],
  ] as const)('%s', async (_what, request, isWithout) => {
    const { port, ways } = await start({ relay: 'auto' })
    await openSender(port, request)
    expect(ways()).toEqual([isWithout])
  })

  test('where another listener reads the connection too', async () => {
    const service = createService({ relay: 'streams' })
    onTestFinished(() => within(DEADLINE_MS, 'the service closes', service.close({ drain: 0 })))
    const ways = spyOnWays(service)
    const seen: Buffer[] = []
    const server = createServer(service.handler).on('connection', (connection) =>
      connection.on('data', (bytes: Buffer) => seen.push(bytes)),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    // It listens on TCP.
    const { port } = server.address() as AddressInfo
    const sender = await connectRaw(port)
    await sender.write(senderHead())
    const [, id] = await sender.until(/"id":"([^"]+)"/)
    expect(ways()).toEqual([false])
    const receiver = await openReceiver(port, `/${id}`)
    await sender.write(chunk('hello') + LAST_CHUNK)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(unframed(bodyOf(receiver))).toBe('hello')
    expect(Buffer.concat(seen).toString()).toMatch(/hello/)
  })
})
