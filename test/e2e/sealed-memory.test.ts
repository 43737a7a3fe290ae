import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { makeHeader, makeIdentity, openHeader, recipientOf } from '../../client/seal/age.js'
import {
  openChunk,
  PAYLOAD_NONCE_BYTES,
  payloadKey,
  sealChunk,
  sealedSize,
} from '../../client/seal/payload.js'
import { headerOfNote, readNote, sealNote } from '../../client/seal/sealed-note.js'
import { headerEnd } from '../../shared/age-header.js'
import { STRICT_NODE } from '../helpers/child-env.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { startServerIn } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { needsProc } from '../helpers/unread.js'
import { BROWSER } from '../helpers/visitors.js'
import { until } from '../helpers/within.js'

/** What the sender would rather have no one know, by what it is. */
interface Secret {
  readonly name: string
  readonly type: string
  readonly line: string
}

/** Words of this run alone, so that nothing else can have them in memory. */
function newSecret(): Secret {
  const word = () => randomBytes(6).toString('hex')
  return { name: `merger-${word()}.pdf`, type: `application/x-${word()}`, line: `we buy them on ${word()}\n` }
}

/** Longer than what waits in any buffer on the way, and one chunk of age: a small part of it shows in a dump. */
const TIMES = 2000

/** A transfer as its sender puts it on the wire. */
interface Sent {
  readonly target: string
  readonly fields: Readonly<Record<string, string>>
  readonly body: Buffer
}

function inTheOpen({ name, type, line }: Secret): Sent {
  return {
    target: `PUT /${name}`,
    fields: { 'Content-Type': type },
    body: Buffer.from(line.repeat(TIMES)),
  }
}

/** The same sealed, as `ess send` does it, and everything that opens it. */
async function sealed({ name, type, line }: Secret) {
  const plain = Buffer.from(line.repeat(TIMES))
  const identity = await makeIdentity()
  const header = await makeHeader({ recipients: [await recipientOf(identity)] })
  const payloadNonce = randomBytes(PAYLOAD_NONCE_BYTES)
  const key = payloadKey(header.fileKey, payloadNonce)
  const chunk = Buffer.alloc(sealedSize(plain.length))
  sealChunk(key, 0, true, plain, chunk, 0)
  const note = sealNote(header, { name, type, size: plain.length, payloadNonce })
  const sent: Sent = {
    target: 'POST /',
    fields: { 'Content-Type': 'application/octet-stream', 'Ess-Sealed': note },
    body: Buffer.concat([header.header, payloadNonce, chunk]),
  }
  return { sent, identity, keys: [header.fileKey, key] }
}

/** What a receiver makes of what it got. */
async function opened(body: Buffer, note: string, identity: string) {
  const { fileKey } = await openHeader(headerOfNote(note), { identities: [identity] })
  const end = headerEnd(body) ?? 0
  const nonce = body.subarray(end, end + PAYLOAD_NONCE_BYTES)
  const { name, type } = readNote(note, fileKey)
  const plain = openChunk(payloadKey(fileKey, nonce), 0, true, body.subarray(end + PAYLOAD_NONCE_BYTES))
  return { name, type, text: plain?.toString() }
}

/** A real server, whose heap can be written to a file at any moment. */
async function start() {
  const folder = await tempDir()
  const server = await startServerIn(
    {
      NODE_OPTIONS: `${STRICT_NODE} --heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${folder}`,
      // Else the kernel may move the bytes, and there would be nothing of them to find.
      ESS_RELAY: 'streams',
    },
    ...['--admin', '127.0.0.1:0', '--reservations'],
  )
  const [, adminPort] = await server.untilStdout(/^admin on http:\/\/127\.0\.0\.1:(\d+)\n/m)
  const get = (path: string, port = server.port) =>
    exchange(port, requestHead(`GET ${path}`, { Accept: '*/*' }))

  /** All that is in its heap. The process writes the file in one go, and answers nothing until it is whole. */
  async function heap(): Promise<Buffer> {
    server.signal('SIGUSR2')
    const name = await until('the snapshot is begun', async () => (await readdir(folder))[0])
    await get('/health')
    const path = join(folder, name)
    const snapshot = await readFile(path)
    await rm(path)
    return snapshot
  }

  /** All that it says of itself: the log, the metrics and every other page of the operator's. */
  async function said(): Promise<string> {
    const pages = await Promise.all(
      ['/metrics', '/health', '/ready'].map((path) => get(path, Number(adminPort))),
    )
    return [server.stderr(), ...pages.map(({ body }) => body), (await get('/health')).body].join('\n')
  }

  return { server, heap, said }
}

type Started = Awaited<ReturnType<typeof start>>

/** A sender that waits. Half of its body was written with its head, so some of that is in the server. */
interface Waiting {
  /** What its page, its events and the answers to its sender have said so far. */
  readonly told: () => string
  /** Brings the receiver, and resolves when that has half of the file. */
  connect(): Promise<void>
  /** Sends the rest, and resolves to what the receiver got when no connection of the transfer is left. */
  finish(): Promise<{ readonly head: string; readonly body: Buffer }>
}

async function offer({ server: { port } }: Started, { target, fields, body }: Sent): Promise<Waiting> {
  const half = Math.floor(body.length / 2)
  const wanted = { Accept: 'application/x-ndjson', 'Content-Length': String(body.length), ...fields }
  const sender = await connectRaw(port)
  const head = Buffer.from(requestHead(target, wanted))
  await sender.write(Buffer.concat([head, body.subarray(0, half)]))
  const [, id = '', upload = ''] = await sender.until(
    /"opened","v":1,"id":"([^"]+)".*"upload":"http:\/\/localhost([^"]+)"/,
  )
  const page = await exchange(port, requestHead(`GET /${id}`, BROWSER))
  expect(page.status).toBe(406)
  const follower = await connectRaw(port)
  await follower.write(requestHead(`GET ${upload}/events`))
  await follower.until(/# /)
  const receiver = await connectRaw(port)
  return {
    told: () => [sender.text(), page.body, follower.text()].join('\n'),
    connect: async () => {
      await receiver.write(requestHead(`GET /${id}`))
      await sender.until(/"connected"/)
      await until('the receiver has half of it', () => receiver.text().length > half)
    },
    finish: async () => {
      await sender.write(body.subarray(half))
      for (const peer of [receiver, sender, follower]) {
        expect(await peer.ending()).toBe('fin')
        peer.end()
      }
      expect(sender.text()).toContain('"delivered"')
      const text = receiver.text()
      const end = text.indexOf('\r\n\r\n') + 4
      return { head: text.slice(0, end), body: Buffer.from(text.slice(end), 'latin1') }
    },
  }
}

const found = (dump: Buffer | string, words: readonly (string | Buffer)[]) =>
  words.map((word) => Buffer.from(dump).includes(word))

describe('the heap of a server', () => {
  beforeEach((context) => context.skip(process.platform === 'win32', 'needs SIGUSR2'))

  test('has the name and the type of a file that is not sealed, and then the search finds them', async () => {
    const secret = newSecret()
    const started = await start()
    const transfer = await offer(started, inTheOpen(secret))
    await transfer.connect()
    expect(found(await started.heap(), [secret.name, secret.type])).toEqual([true, true])
    expect(found(transfer.told(), [secret.name])).toEqual([true])
    const { body } = await transfer.finish()
    expect(body.toString()).toBe(secret.line.repeat(TIMES))
  })

  test('has nothing of a sealed one, neither before its transfer, nor during it, nor after it', async () => {
    const secret = newSecret()
    const { sent, identity, keys } = await sealed(secret)
    const words = [
      ...[secret.name, secret.type, secret.line.trim(), identity],
      ...keys.flatMap((key) => ['base64url', 'hex'].map((form) => key.toString(form as BufferEncoding))),
    ]
    const nothing = words.map(() => false)
    const started = await start()
    const transfer = await offer(started, sent)
    expect(found(await started.heap(), words)).toEqual(nothing)
    await transfer.connect()
    const during = await started.heap()
    expect(found(during, words)).toEqual(nothing)
    // The search is one of the right heap: it has what the server was told.
    expect(found(during, [String(sent.fields['Ess-Sealed']).slice(0, 500)])).toEqual([true])
    const { head, body } = await transfer.finish()
    const [, note = ''] = /^Ess-Sealed: (.*)\r$/m.exec(head) ?? []
    expect(await opened(body, note, identity)).toEqual({
      name: secret.name,
      type: secret.type,
      text: secret.line.repeat(TIMES),
    })
    expect(found(await started.heap(), words)).toEqual(nothing)
    for (const text of [transfer.told(), head, await started.said()])
      expect(found(text, words)).toEqual(nothing)
    expect(await started.said()).toMatch(/opened[\s\S]*ended[\s\S]*ess_/)
  })

  test('forgets with the request what a sender says in the open of a file that it seals', async () => {
    const secret = newSecret()
    const { sent } = await sealed(secret)
    const words = [secret.name, secret.type]
    const started = await start()
    const transfer = await offer(started, {
      ...sent,
      target: `PUT /${secret.name}?filename=${secret.name}`,
      fields: {
        ...sent.fields,
        'Content-Type': secret.type,
        'Content-Disposition': `attachment; filename="${secret.name}"`,
      },
    })
    await transfer.connect()
    const { head } = await transfer.finish()
    for (const text of [transfer.told(), head, await started.said()])
      expect(found(text, words)).toEqual([false, false])
    // When the last connection is closed, which is right after its end, nothing holds the request.
    await until('nothing of it is left', async () => !found(await started.heap(), words).includes(true))
  })
})

/** All memory that a process can write to, searched for each of these: everything that it has learned is in there. */
async function foundInMemory(pid: number, words: readonly (string | Buffer)[]): Promise<boolean[]> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8')
  const memory = await open(`/proc/${pid}/mem`)
  try {
    const seen = words.map(() => false)
    const longest = Math.max(...words.map((word) => Buffer.byteLength(word)))
    const block = Buffer.alloc(8 * 1024 * 1024)
    for (const [, from = '', to = ''] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
      const end = Number.parseInt(to, 16)
      for (let at = Number.parseInt(from, 16); at < end; at += block.length - longest) {
        const length = Math.min(block.length, end - at)
        // A region may have gone since, or be a device's.
        const { bytesRead } = await memory.read(block, 0, length, at).catch(() => ({ bytesRead: 0 }))
        const bytes = block.subarray(0, bytesRead)
        words.forEach((word, index) => {
          seen[index] ||= bytes.includes(word)
        })
      }
    }
    return seen
  } finally {
    await memory.close()
  }
}

describe('the whole memory of a server', () => {
  beforeEach((context) => needsProc(context))

  test('has the bytes of a file that is not sealed, and none of a sealed one', async () => {
    const plain = newSecret()
    const secret = newSecret()
    const { sent, identity, keys } = await sealed(secret)
    const started = await start()
    const transfers = [await offer(started, inTheOpen(plain)), await offer(started, sent)]
    const words = [plain.name, plain.line, secret.name, secret.type, secret.line, identity, ...keys]
    const look = () => foundInMemory(started.server.pid, words)
    const nothing = words.slice(2).map(() => false)
    expect(await look()).toEqual([true, true, ...nothing])
    for (const transfer of transfers) await transfer.connect()
    expect((await look()).slice(2)).toEqual(nothing)
    for (const transfer of transfers) await transfer.finish()
    expect((await look()).slice(2)).toEqual(nothing)
  })
})
