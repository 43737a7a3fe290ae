import { randomInt } from 'node:crypto'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createService, type EmbeddedService, type SocketStats } from '../../../../server/index.js'
import { probeRawBody } from '../../../../server/relay/gears/probe.js'
import type { Splicer } from '../../../../server/relay/splice/splicer.js'
import { bytesOf, sha256 } from '../../../helpers/bytes.js'
import { certificate } from '../../../helpers/certificate.js'
import { exchange, requestHead } from '../../../helpers/http-exchange.js'
import { needs } from '../../../helpers/needs.js'
import { connectRaw, type RawPeer } from '../../../helpers/raw-peer.js'
import { DEADLINE_MS, until, within } from '../../../helpers/within.js'
import {
  bodyOf,
  connectReceiver,
  eventsOf,
  expectSenderFailed,
  openReceiver,
  openSender,
  type RawSender,
  senderHead,
  serve,
  untilEnded,
  untilNoneMoves,
} from '../../serve.js'
import { framed, unframed } from './framing.js'

const KIB = 1024
const MIB = 1024 * KIB
const isLinux = process.platform === 'linux'

/** Not of this run's project: these tests say themselves which gear they are about. */
const GEARS = ['streams', 'sockets', ...(isLinux ? (['splice'] as const) : [])] as const

test('the inside of this Node is as the sockets gear needs it', async () => {
  expect(await probeRawBody()).toBeUndefined()
})

describe.each(GEARS)('by %s', (relay) => {
  test('that gear is what works here', async () => {
    const { broker } = await serve({ relay })
    expect([broker.relay.gear, broker.relay.why]).toEqual([relay, undefined])
  })

  describe.each([
    { framing: 'known length', gear: relay },
    { framing: 'chunks', gear: relay === 'splice' ? 'sockets' : relay },
  ] as const)('a body of $framing', ({ framing, gear }) => {
    test.each([1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB - 1, MIB, MIB + 1, 9 * MIB + 3])(
      'of %i bytes goes by it, byte for byte, however it comes',
      async (size) => {
        const served = await serve({ relay })
        const bytes = bytesOf(size)
        const isKnown = framing === 'known length'
        const wire = isKnown ? bytes : framed(bytes)
        const sender = await openSender(served.port, isKnown ? { length: size } : {})
        // Some of it is there before anybody wants it.
        let at = randomInt(Math.min(size, 3 * KIB))
        await sender.write(wire.subarray(0, at))
        const receiver = await connectReceiver(served.port, sender)
        while (at < wire.length) {
          const piece = wire.subarray(at, at + randomInt(1, 400 * KIB))
          at += piece.length
          await sender.write(piece)
        }
        expect(await receiver.ending()).toBe('fin')
        receiver.end()
        const [end] = await untilEnded(served)
        expect(end).toMatchObject({ outcome: 'delivered', bytes: size, confirmed: true, gear })
        const body = isKnown ? bodyOf(receiver) : unframed(bodyOf(receiver))
        expect(sha256(Buffer.from(body, 'latin1'))).toBe(sha256(bytes))
        await sender.until(/"event":"delivered".*0\r\n\r\n$/s)
      },
    )

    test('waits for a receiver that stops, and loses nothing', async () => {
      const served = await serve({ relay })
      // More than all kernels and this process hold on the way.
      const size = 24 * MIB
      const bytes = bytesOf(size)
      const sender = await openSender(served.port, framing === 'known length' ? { length: size } : {})
      const receiver = await connectReceiver(served.port, sender)
      receiver.pause()
      const pushed = sender.write(framing === 'known length' ? bytes : framed(bytes), 4 * DEADLINE_MS)
      expect(await untilNoneMoves(sender)).toBeLessThan(size)
      expect(await receiver.ending(4 * DEADLINE_MS)).toBe('fin')
      receiver.end()
      await pushed
      expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: size, gear }])
      const body = framing === 'known length' ? bodyOf(receiver) : unframed(bodyOf(receiver))
      expect(sha256(Buffer.from(body, 'latin1'))).toBe(sha256(bytes))
    })
  })

  test('a sender that closes its half when all is sent still reads the verdict', async () => {
    const served = await serve({ relay })
    const sender = await openSender(served.port, { length: 2 * MIB })
    const receiver = await connectReceiver(served.port, sender)
    receiver.pause()
    await sender.write(bytesOf(2 * MIB))
    await receiver.ending()
    sender.end()
    receiver.end()
    await sender.until(/"event":"delivered"/)
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', gear: relay }])
  })

  test('a waiting sender that pushes all it can reads why it failed', async () => {
    const served = await serve({ relay })
    const sender = await openSender(served.port, { length: 20 * MIB, target: 'POST /?ttl=0.5' })
    await sender.write(bytesOf(20 * MIB))
    sender.end()
    expect(await sender.ending()).toBe('fin')
    expect(eventsOf(sender).at(-1)).toMatchObject({
      event: 'failed',
      problem: { type: 'urn:ess:problem:expired' },
    })
  })

  test('what a sender writes after its body does not reach the receiver', async () => {
    const served = await serve({ relay })
    const sender = await openSender(served.port, { length: 100 * KIB })
    const receiver = await connectReceiver(served.port, sender)
    await sender.write(Buffer.concat([bytesOf(100 * KIB), Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]))
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    await sender.until(/"event":"delivered"/)
    expect(sha256(Buffer.from(bodyOf(receiver), 'latin1'))).toBe(sha256(bytesOf(100 * KIB)))
  })

  test.runIf(isLinux)('no descriptor is left after transfers that end in every way', async () => {
    const { readdir } = await import('node:fs/promises')
    const open = async () => (await readdir('/proc/self/fd')).length
    const served = await serve({ relay })
    let ended = 0
    const stories: ((sender: RawSender) => Promise<RawPeer | undefined>)[] = [
      async (sender) => {
        const receiver = await connectReceiver(served.port, sender)
        await sender.write(bytesOf(2 * MIB))
        await receiver.ending()
        receiver.end()
        return receiver
      },
      async (sender) => {
        const receiver = await connectReceiver(served.port, sender)
        await sender.write(bytesOf(MIB))
        await receiver.until(/\r\n\r\n.{1000}/s)
        sender.reset()
        return receiver
      },
      async (sender) => {
        const receiver = await connectReceiver(served.port, sender)
        await sender.write(bytesOf(MIB))
        await receiver.until(/\r\n\r\n.{1000}/s)
        sender.end()
        return receiver
      },
      async (sender) => {
        const receiver = await connectReceiver(served.port, sender)
        await sender.write(bytesOf(MIB))
        await receiver.until(/\r\n\r\n.{1000}/s)
        receiver.reset()
        return receiver
      },
      async (sender) => {
        const receiver = await connectReceiver(served.port, sender)
        await sender.write(bytesOf(MIB))
        await receiver.until(/\r\n\r\n.{1000}/s)
        served.service.cancel(sender.id)
        return receiver
      },
      async (sender) => {
        sender.reset()
        return undefined
      },
    ]
    const round = async () => {
      for (const story of stories) {
        const sender = await openSender(served.port, { length: 2 * MIB })
        const receiver = await story(sender)
        await untilEnded(served, ++ended)
        sender.reset()
        receiver?.reset()
      }
    }
    await round()
    const before = await open()
    for (let times = 0; times < 5; times++) await round()
    // The connections of the last ones may still be closing.
    await until('every descriptor is closed again', async () => (await open()) <= before)
    const outcomes = served.ends.slice(-stories.length).map(({ outcome }) => outcome)
    expect(outcomes).toEqual([
      'delivered',
      'sender-lost',
      'sender-lost',
      'receiver-lost',
      'cancelled',
      'sender-lost',
    ])
  })
})

describe('where the engine of splice', () => {
  /** One whose every job ends at once, in this way. */
  function failing(taken: number): Splicer {
    const end = { how: 'engine-failed', moved: 0, taken, errno: 24 } as const
    const cancel = () => undefined
    const job = {
      ended: Promise.resolve(end),
      moved: () => 0,
      taken: () => taken,
      cancel,
      cancelAfterTurn: cancel,
    }
    return { start: () => job, failure: () => undefined, close: async () => undefined }
  }

  test('cannot begin, for want of descriptors, sockets moves the rest', async () => {
    const served = await serve({ relay: 'sockets' })
    vi.spyOn(served.broker.relay, 'splicerFor').mockReturnValue(failing(0))
    await deliver(served.port, 9 * MIB + 3)
    expect(await untilEnded(served)).toMatchObject([
      { outcome: 'delivered', bytes: 9 * MIB + 3, gear: 'splice' },
    ])
  })

  test('fails with bytes in its hands, the transfer has failed, and both sides are told', async () => {
    const served = await serve({ relay: 'sockets' })
    vi.spyOn(served.broker.relay, 'splicerFor').mockReturnValue(failing(1))
    const sender = await openSender(served.port, { length: 2 * MIB })
    const receiver = await connectReceiver(served.port, sender)
    await sender.write(bytesOf(MIB))
    await receiver.ending()
    expect(bodyOf(receiver).length).toBeLessThan(2 * MIB)
    await expectSenderFailed(sender, 'internal-error')
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'internal-error' }])
  })
})

describe('left to itself', () => {
  test.each([
    ['streams', 16 * KIB - 1],
    ['sockets', 16 * KIB],
    ['sockets', MIB - 1],
    [isLinux ? 'splice' : 'sockets', MIB],
  ] as const)('it takes %s for %i bytes', async (gear, length) => {
    const served = await serve({ relay: 'auto' })
    const sender = await openSender(served.port, { length })
    const receiver = await connectReceiver(served.port, sender)
    await sender.write(bytesOf(length))
    await receiver.ending()
    receiver.end()
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', gear }])
  })

  test('it takes streams for a chunked body whose first chunk came with its head', async () => {
    const served = await serve({ relay: 'auto' })
    const sender = await connectRaw(served.port)
    await sender.write(`${senderHead()}5\r\nhello\r\n`)
    const [, id] = await sender.until(/"id":"([^"]+)"/)
    const receiver = await openReceiver(served.port, `/${id}`)
    await sender.write('0\r\n\r\n')
    await receiver.ending()
    receiver.end()
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: 5, gear: 'streams' }])
  })

  // Such a body ends as a head does, with an empty line.
  test.each([
    ['5\r\nhello\r\n0\r\n\r\n', 0],
    ['5\r\nhello\r\n0\r\nNote: a trailer\r\n\r\n', 0],
    ['0\r\n\r\n', 0],
    // The last bytes of the head come with the body.
    ['5\r\nhello\r\n0\r\n\r\n', 1],
    ['5\r\nhello\r\n0\r\n\r\n', 2],
    ['5\r\nhello\r\n0\r\n\r\n', 3],
  ])(
    'it takes streams for the whole chunked body %j that came with %i bytes of its head, or all',
    async (body, late) => {
      const served = await serve({ relay: 'auto' })
      const sender = await connectRaw(served.port)
      const request = `${senderHead()}${body}`
      const first = late === 0 ? 0 : senderHead().length - late
      if (first > 0) {
        await sender.write(request.slice(0, first))
        // When this has an answer, the server has read what was sent before.
        await exchange(served.port, requestHead('GET /health'))
      }
      await sender.write(request.slice(first))
      const [, id] = await sender.until(/"id":"([^"]+)"/)
      const receiver = await openReceiver(served.port, `/${id}`)
      await receiver.ending()
      receiver.end()
      const text = body.includes('hello') ? 'hello' : ''
      expect(unframed(bodyOf(receiver))).toBe(text)
      expect(await untilEnded(served)).toMatchObject([
        { outcome: 'delivered', bytes: text.length, gear: 'streams' },
      ])
    },
  )
})

describe('in a server of the embedder’s', () => {
  test('the first transfer, before the gears were tried, goes by streams, and later ones by a better gear', async () => {
    const { service, ends } = embedded()
    const port = await listening(createHttpServer(service.handler))
    await deliver(port, 2 * MIB)
    await service.relay.ready()
    await deliver(port, 2 * MIB)
    await until('both have ended', () => ends.length === 2)
    expect(ends.map(({ gear }) => gear)).toEqual(['streams', isLinux ? 'splice' : 'sockets'])
  })

  test('a sender over TLS goes by streams, and one without to a receiver over TLS by sockets', async (context) => {
    needs(context, 'openssl')
    const { service, ends } = embedded()
    await service.relay.ready()
    const tls = await certificate()
    const plain = await listening(createHttpServer(service.handler))
    const secure = await listening(createHttpsServer(tls, service.handler))
    const bytes = bytesOf(2 * MIB)

    const sender = await openSender(plain, { length: bytes.length })
    const download = get(secure, `/${sender.id}`)
    await sender.write(bytes)
    expect(sha256(await download)).toBe(sha256(bytes))
    await sender.until(/"delivered"/)

    const upload = httpsRequest({ port: secure, method: 'PUT', path: '/', rejectUnauthorized: false })
    const opened = new Promise<string>((resolve) => {
      upload.once('response', (response) => {
        resolve(new URL(response.headers.location ?? '').pathname)
        response.resume()
      })
    })
    upload.setHeader('Content-Length', bytes.length)
    upload.flushHeaders()
    const path = await within(DEADLINE_MS, 'the upload is open', opened)
    const second = get(secure, path)
    upload.end(bytes)
    expect(sha256(await second)).toBe(sha256(bytes))
    await until('both have ended', () => ends.length === 2)
    expect(ends.map(({ outcome, gear }) => [outcome, gear])).toEqual([
      ['delivered', 'sockets'],
      ['delivered', 'streams'],
    ])
  })
})

function embedded(): { service: EmbeddedService; ends: SocketStats[] } {
  const service = createService()
  onTestFinished(() => within(DEADLINE_MS, 'the service closes', service.close({ drain: 0 })))
  const ends: SocketStats[] = []
  service.on('socket:end', (_socket, stats) => ends.push(stats))
  service.on('error:socket', (_socket, stats) => ends.push(stats))
  return { service, ends }
}

async function listening(server: Server): Promise<number> {
  await within(
    DEADLINE_MS,
    'it listens',
    new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)),
  )
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  // It listens on TCP.
  return (server.address() as AddressInfo).port
}

async function deliver(port: number, size: number): Promise<void> {
  const sender = await openSender(port, { length: size })
  const receiver = await connectReceiver(port, sender)
  await sender.write(bytesOf(size))
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  expect(sha256(Buffer.from(bodyOf(receiver), 'latin1'))).toBe(sha256(bytesOf(size)))
  await sender.until(/"event":"delivered"/)
}

/** Over TLS, whoever the server is. */
function get(port: number, path: string): Promise<Buffer> {
  const answer = new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    httpsRequest({ port, path, rejectUnauthorized: false }, (response) => {
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks)))
      response.on('error', reject)
    })
      .on('error', reject)
      .end()
  })
  return within(DEADLINE_MS, 'the download ends', answer)
}
