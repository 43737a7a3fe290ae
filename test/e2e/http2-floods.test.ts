import { readdir } from 'node:fs/promises'
import { beforeEach, expect, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import {
  connectFrames,
  FLAG,
  type FramePeer,
  fields,
  frame,
  request,
  TYPE,
  text,
  word,
} from '../helpers/http2-frames.js'
import { needs } from '../helpers/needs.js'
import { speakTls } from '../helpers/raw-peer.js'
import { NO_CLIENT_LIMITS, startMeasured } from '../helpers/start-server.js'
import { needsProc } from '../helpers/unread.js'
import { DEADLINE_MS, until } from '../helpers/within.js'
import { bodyOf, connectReceiver, openSender } from '../server/serve.js'

const MIB = 1024 * 1024
/** What is pushed of each flood: at the most, because most are ended long before. */
const FLOOD_BYTES = 64 * MIB
/** What of it may be seen in the server's memory. */
const MAX_GROWTH_BYTES = 48 * MIB
/** A server that reads no more for so long is not going to. */
const STANDING_MS = 500

beforeEach((context) => {
  needsProc(context)
  needs(context, 'openssl')
})

async function start(...flags: readonly string[]) {
  const { path, keyPath } = await certificate()
  const admin = ['--admin', '127.0.0.1:0']
  const tls = ['--tls-cert', path, '--tls-key', keyPath]
  const server = await startMeasured(...tls, ...admin, '--log', 'off', ...NO_CLIENT_LIMITS, ...flags)
  const [, adminPort] = await server.untilStdout(/^admin on http:\/\/127\.0\.0\.1:(\d+)\n/m)
  speakTls(server.port)
  return {
    ...server,
    descriptors: async () => (await readdir(`/proc/${server.pid}/fd`)).length,
    metric: async (pattern: RegExp) => {
      const { body } = await exchange(Number(adminPort), requestHead('GET /metrics'))
      return [...body.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0)
    },
  }
}
type Server = Awaited<ReturnType<typeof start>>

/** Sends `piece(0)`, `piece(1)` and so on until the server has had enough, or all of it is out. */
async function flood(peer: FramePeer, piece: (at: number) => Buffer, most = FLOOD_BYTES): Promise<void> {
  let at = 0
  for (let sent = 0; sent < most && !peer.isOver(); ) {
    const pieces: Buffer[] = []
    for (let size = 0; size < 64 * 1024; ) {
      const next = piece(at++)
      pieces.push(next)
      size += next.length
    }
    const bytes = Buffer.concat(pieces)
    sent += bytes.length
    if (!(await peer.send(bytes, STANDING_MS))) return
  }
}

/** The server's highest resident memory until `done`. */
async function peakWhile(server: Server, done: Promise<void>): Promise<number> {
  let isDone = false
  let peak = 0
  const finish = () => {
    isDone = true
  }
  done.then(finish, finish)
  // A million small frames may be in it.
  await until(
    'the flood is over',
    async () => {
      peak = Math.max(peak, await server.residentBytes())
      return isDone
    },
    3 * DEADLINE_MS,
  )
  await done
  return peak
}

const idOf = (at: number) => 2 * at + 1
const RESET = (stream: number) => frame(TYPE.reset, 0, stream, word(8))
/** A field of 4,000 bytes goes into HPACK's table; each byte after that is the whole field once more. */
const BOMB = Buffer.concat([Buffer.of(0x40), text('x'), text('y'.repeat(4000)), Buffer.alloc(8000, 0xbe)])

/** Node 20 takes up to 62 MiB for answers under way, whether it was sent eight megabytes of PING or a hundred. */
const PING_BYTES = 80 * MIB

interface Flood {
  readonly name: string
  /** What comes before it. */
  readonly first?: Buffer
  readonly piece: (at: number) => Buffer
  /** Its peer reads nothing of what it is answered. */
  readonly isDeaf?: boolean
  /** For what Node itself keeps of it for a while. Default: `MAX_GROWTH_BYTES`. */
  readonly mostBytes?: number
  /** Not every flood is an offence; those that are end the connection. */
  readonly isEnded: boolean
}

const FLOODS: readonly Flood[] = [
  {
    name: 'requests that are taken back at once',
    piece: (at) => Buffer.concat([request(idOf(at), 'GET', '/health'), RESET(idOf(at))]),
    isEnded: true,
  },
  {
    name: 'uploads that are taken back at once',
    piece: (at) => Buffer.concat([request(idOf(at), 'POST', '/', FLAG.none), RESET(idOf(at))]),
    isEnded: true,
  },
  {
    name: 'requests that have the server reset their streams',
    piece: (at) =>
      Buffer.concat([
        request(idOf(at), 'POST', '/', FLAG.none),
        frame(TYPE.windowUpdate, 0, idOf(at), word(0)),
      ]),
    isEnded: true,
  },
  {
    name: 'streams beyond those that may be',
    piece: (at) => request(idOf(at), 'POST', '/', FLAG.none),
    isEnded: true,
  },
  {
    name: 'PING',
    piece: () => frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
    mostBytes: PING_BYTES,
    isEnded: false,
  },
  {
    name: 'PING, nothing of whose answers is read,',
    piece: () => frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
    isDeaf: true,
    mostBytes: PING_BYTES,
    isEnded: false,
  },
  {
    name: 'SETTINGS, nothing of whose answers is read,',
    piece: () => frame(TYPE.settings, 0, 0, Buffer.concat([Buffer.of(0, 4), word(65_535)])),
    isDeaf: true,
    isEnded: false,
  },
  {
    name: 'SETTINGS of many entries',
    piece: () => frame(TYPE.settings, 0, 0, Buffer.alloc(6 * 2000, Buffer.from([0, 4, 0, 0, 255, 255]))),
    isEnded: true,
  },
  {
    name: 'acknowledgements of SETTINGS that were never sent',
    piece: () => frame(TYPE.settings, FLAG.ack, 0),
    isEnded: true,
  },
  {
    name: 'DATA without a byte',
    first: request(1, 'POST', '/', FLAG.none),
    piece: () => frame(TYPE.data, 0, 1),
    isEnded: true,
  },
  {
    name: 'a head that goes on',
    first: frame(TYPE.headers, FLAG.endStream, 1, fields({ ':method': 'GET' })),
    piece: (at) => frame(TYPE.continuation, 0, 1, fields({ [`x-${at}`]: 'y'.repeat(1000) })),
    isEnded: true,
  },
  {
    name: 'a head that goes on without a byte',
    first: frame(TYPE.headers, FLAG.endStream, 1, fields({ ':method': 'GET' })),
    piece: () => frame(TYPE.continuation, 0, 1),
    isEnded: true,
  },
  {
    name: 'small heads that are large ones',
    piece: (at) => frame(TYPE.headers, FLAG.endStream | FLAG.endHeaders, idOf(at), BOMB),
    isEnded: false,
  },
  {
    name: 'PRIORITY',
    piece: (at) => frame(TYPE.priority, 0, idOf(at % 1_000_000), Buffer.concat([word(0), Buffer.of(15)])),
    isEnded: false,
  },
  {
    name: 'windows beyond 2^31 - 1',
    piece: () => frame(TYPE.windowUpdate, 0, 0, word(0x7f_ff_ff_ff)),
    isEnded: true,
  },
  {
    name: 'frames that nobody knows',
    piece: () => frame(200, 0, 0, Buffer.alloc(1000)),
    isEnded: false,
  },
  {
    name: 'single bytes that nobody reads',
    first: request(1, 'POST', '/', FLAG.none),
    piece: () => frame(TYPE.data, 0, 1, Buffer.of(120)),
    isEnded: false,
  },
]

test.each(FLOODS)('by HTTP/2, $name cost no memory, and nothing of a transfer beside them', async (kind) => {
  const server = await start()
  const bytes = bytesOf(MIB)
  const sender = await openSender(server.port, { length: bytes.length })
  const receiver = await connectReceiver(server.port, sender)
  await sender.write(bytes.subarray(0, bytes.length / 2))
  const attack = async (most: number) => {
    const peer = await connectFrames(server.port)
    if (kind.first !== undefined) await peer.send(kind.first)
    if (kind.isDeaf) peer.pause()
    await flood(peer, kind.piece, most)
    if (kind.isEnded) await peer.ended()
    peer.reset()
  }
  const descriptors = await server.descriptors()
  // The first one pays for the code, compiled.
  await attack(FLOOD_BYTES / 64)
  const before = await server.residentBytes()
  const peak = await peakWhile(server, attack(FLOOD_BYTES))
  expect((peak - before) / MIB).toBeLessThan((kind.mostBytes ?? MAX_GROWTH_BYTES) / MIB)

  await sender.write(bytes.subarray(bytes.length / 2))
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  expect(bodyOf(receiver) === bytes.toString('latin1')).toBe(true)
  await sender.until(/"delivered"/)
  await until('no socket is left', async () => (await server.metric(/^ess_sockets\{.*\} (\d+)$/gm)) === 0)
  await until('no descriptor is left', async () => (await server.descriptors()) < descriptors)
  expect(await server.metric(/^ess_refusals_total\{code="internal-error"\} (\d+)$/gm)).toBe(0)
})

test('by HTTP/2, a receiver whose window is never opened has stalled', async () => {
  const server = await start('--stall-timeout', '1')
  const sender = await openSender(server.port, { length: MIB })
  const peer = await connectFrames(server.port, Buffer.concat([Buffer.of(0, 4), word(0)]))
  await peer.send(request(1, 'GET', `/${sender.id}`))
  await sender.until(/"connected"/)
  await sender.write(Buffer.alloc(MIB / 2))
  await sender.until(/"event":"failed".*The receiver took nothing for 1 s/)
  expect((await peer.untilGot(TYPE.reset, 1)).payload.readUInt32BE()).toBe(2)
  expect(peer.got(TYPE.data)).toEqual([])
})
