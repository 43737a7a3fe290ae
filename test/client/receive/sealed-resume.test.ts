import { createReadStream } from 'node:fs'
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type DownloadOptions, download, get, send } from '../../../client/index.js'
import { Keyring } from '../../../client/receive/keyring.js'
import { RECORD_BLOCK_BYTES } from '../../../client/receive/part-record.js'
import { makeSeal, partIdOf } from '../../../client/receive/seal.js'
import { SEALED_CHUNK_BYTES } from '../../../client/seal/payload.js'
import type { StatusEvent } from '../../../shared/index.js'
import { bytesOf, sha256, sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { ID } from '../../helpers/client-wire.js'
import { lyingServer } from '../../helpers/lying-server.js'
import { runEss } from '../../helpers/run-ess.js'
import { type SealedBody, sealedBody } from '../../helpers/sealed-body.js'
import { newKey } from '../../helpers/sealing.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { countEntries, tarOf } from '../../helpers/tar.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

const CHUNK = 64 * 1024
const MIB = 1024 * 1024
const FRAMINGS = ['known', 'chunked'] as const

/** Receives it to the end, whatever the way. */
async function receive(link: string, way: 'file' | 'pipe' | 'stream', options: DownloadOptions = {}) {
  const folder = await tempDir()
  const pieces: Buffer[] = []
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(Buffer.from(piece))
      done()
    },
  })
  const work = async () => {
    if (way === 'stream') for await (const piece of await get(link, options)) pieces.push(piece)
    else await download(link, { ...options, to: way === 'file' ? { file: join(folder, 'x') } : { stream } })
    return way === 'file' ? await readFile(join(folder, 'x')) : Buffer.concat(pieces)
  }
  return await within(2 * DEADLINE_MS, 'the download is whole', work())
}

describe.each(FRAMINGS)('cut in every phase, with a length that is %s', (framing) => {
  test.each(['file', 'pipe', 'stream'] as const)('it goes on, into a %s', async (way) => {
    const sealed = await sealedBody(2 * CHUNK + 100, { isSized: framing === 'known' })
    const { body, headerBytes, beginBytes, identity, content } = sealed
    const phases = {
      'at its first byte': 0,
      'in the header': headerBytes >> 1,
      'behind the header': headerBytes,
      'in the nonce': headerBytes + 7,
      'behind the nonce': beginBytes,
      'in the first chunk': beginBytes + 1000,
      'before the first tag': beginBytes + CHUNK,
      'in the first tag': beginBytes + CHUNK + 9,
      'between two chunks': beginBytes + SEALED_CHUNK_BYTES,
      'in the second chunk': beginBytes + SEALED_CHUNK_BYTES + 1,
      'before the last chunk': beginBytes + 2 * SEALED_CHUNK_BYTES,
      'in the last chunk': body.length - 50,
      'in the last tag': body.length - 5,
      'before the last byte': body.length - 1,
    }
    await Promise.all(
      Object.entries(phases).map(async ([phase, cut]) => {
        // Twice, so that it goes on with what it has kept of a chunk.
        const cuts = [cut, Math.min(cut + 3, body.length - 1)]
        const server = await lyingServer({ note: sealed.note, body, framing, cuts })
        const resumed: number[] = []
        const got = await receive(`${server.url}/${ID}#${identity}`, way, {
          onResumed: (bytes) => void resumed.push(bytes),
        })
        expect(sha256(got), phase).toBe(sha256(content))
        expect(server.asked, phase).toEqual(['HEAD', 'GET', `GET ${cuts[0]}`, `GET ${cuts[1]}`])
        expect(
          resumed.every((bytes) => bytes <= content.length),
          phase,
        ).toBe(true)
        expect(await server.lastEnding(), phase).toBe('fin')
      }),
    )
  })
})

test.each(FRAMINGS)('a sealed folder goes on too, and is unpacked: %s', async (framing) => {
  const photos = Array.from({ length: 5 }, (_, at) => ({
    name: `photos/${at}.jpg`,
    content: bytesOf(60_000, at + 1),
  }))
  const tar = tarOf({ name: 'photos/', type: '5', mode: 0o755 }, ...photos)
  const bundle = { entries: countEntries(tar) }
  const sealed = await sealedBody(tar, { name: 'photos.tar', bundle, isSized: framing === 'known' })
  const { note, body, identity, beginBytes } = sealed
  const cuts = [
    10,
    beginBytes + 5,
    beginBytes + CHUNK + 20,
    beginBytes + 3 * SEALED_CHUNK_BYTES,
    body.length - 3,
  ]
  const server = await lyingServer({ note, body, framing, cuts })
  const folder = await tempDir()
  const received = await within(
    2 * DEADLINE_MS,
    'the folder is whole',
    download(`${server.url}/${ID}#${identity}`, { to: { folder } }),
  )
  expect(received).toMatchObject({ name: 'photos.tar', bytes: tar.length, bundle, isSealed: true })
  for (const { name, content } of photos)
    expect((await readFile(join(folder, name))).equals(content)).toBe(true)
  expect(await readdir(folder)).toEqual(['photos'])
  expect(server.asked).toEqual(['HEAD', 'GET', ...cuts.map((cut) => `GET ${cut}`)])
})

test.each(FRAMINGS)('an age file without a note goes on in the same run: %s', async (framing) => {
  const { body, identity, content, beginBytes } = await sealedBody(2 * CHUNK + 100)
  for (const cut of [beginBytes + 10, body.length - 5]) {
    const server = await lyingServer({ body, framing, cuts: [cut] })
    const got = await receive(`${server.url}/${ID}`, 'file', { identities: [identity] })
    expect(sha256(got)).toBe(sha256(content))
    expect(server.asked).toEqual(['HEAD', 'GET', `GET ${cut}`])
  }
})

test('after a cut, what the rest has is looked at as closely', async () => {
  const { note, body, identity, beginBytes } = await sealedBody(3 * CHUNK)
  const changed = Buffer.from(body)
  changed.writeUInt8(changed.readUInt8(beginBytes + 2 * CHUNK) ^ 1, beginBytes + 2 * CHUNK)
  const server = await lyingServer({ note, body: changed, framing: 'known', cuts: [beginBytes + CHUNK] })
  const folder = await tempDir()
  const work = download(`${server.url}/${ID}#${identity}`, { to: { folder } })
  await expect(within(DEADLINE_MS, 'it fails', work)).rejects.toMatchObject({ code: 'not-authentic' })
  expect(await readdir(folder)).toEqual([])
  expect(server.asked.at(-1)).toBe('DELETE')
})

/** The part that an earlier run of this download would have left. */
async function partOf({ note, identity }: SealedBody, file: string): Promise<string> {
  const opened = await new Keyring({ identities: [identity], passphrase: undefined }).openNote(note)
  const seal = makeSeal(opened.header, opened.note.payloadNonce, { size: undefined, isNoted: true })
  return `${file}.${partIdOf(ID, seal)}.part`
}

/** Leaves a part as a run that was killed an hour ago would have left it, with this many bytes on record. */
async function leave(part: string, bytes: Buffer, recorded: number): Promise<void> {
  await writeFile(part, bytes)
  await utimes(part, Math.floor(recorded / RECORD_BLOCK_BYTES), Date.now() / 1000 - 3600)
}

/** Bytes of the file that are on record, and the chunk from which the body is asked for again. */
const BEGUN = [
  { size: 5 * CHUNK + 9, recorded: 0, from: undefined },
  { size: 5 * CHUNK + 9, recorded: CHUNK, from: 0 },
  { size: 5 * CHUNK + 9, recorded: 3 * CHUNK, from: 2 },
  { size: 5 * CHUNK + 9, recorded: 5 * CHUNK, from: 4 },
  { size: 5 * CHUNK, recorded: 4 * CHUNK, from: 3 },
  // All of it: the last chunk proves that the file ends there.
  { size: 5 * CHUNK, recorded: 5 * CHUNK, from: 4 },
  // The part was cut, so that less is there than is on record.
  { size: 5 * CHUNK + 9, recorded: 4 * CHUNK, left: 3 * CHUNK + 77, from: 3 },
  { size: 5 * CHUNK + 9, recorded: 4 * CHUNK, left: 10, from: 0 },
]

describe.each(FRAMINGS)('another run, with a length that is %s', (framing) => {
  test.each(BEGUN)(
    'goes on from $recorded of $size bytes',
    async ({ size, recorded, left = recorded, from }) => {
      const sealed = await sealedBody(size, { isSized: framing === 'known' })
      const { note, body, identity, content, beginBytes } = sealed
      const server = await lyingServer({ note, body, framing })
      const folder = await tempDir()
      const file = join(folder, 'x')
      // Behind what is left is what never reached the disk.
      await leave(await partOf(sealed, file), content.subarray(0, left), recorded)
      const resumed: number[] = []
      const progress: number[] = []
      const received = await download(`${server.url}/${ID}#${identity}`, {
        to: { file },
        onResumed: (bytes) => void resumed.push(bytes),
        onProgress: (bytes) => void progress.push(bytes),
      })
      expect(received.bytes).toBe(size)
      expect(progress.at(-1)).toBe(size)
      expect(sha256(await readFile(file))).toBe(sha256(content))
      expect(await readdir(folder)).toEqual(['x'])
      const at = from === undefined ? 0 : from === 0 ? beginBytes : beginBytes + from * SEALED_CHUNK_BYTES
      expect(server.asked).toEqual(['HEAD', `GET ${at}`])
      expect(resumed).toEqual([(from ?? 0) * CHUNK])
      expect(await server.lastEnding()).toBe('fin')
    },
  )

  test('asks for the last chunk again, and finds out that it was cut off', async () => {
    const sealed = await sealedBody(3 * CHUNK, { isSized: framing === 'known' })
    const { note, identity, content, beginBytes } = sealed
    // What is left looks whole: the server takes back the rest.
    const short = sealed.body.subarray(0, beginBytes + 2 * SEALED_CHUNK_BYTES)
    const server = await lyingServer({ note, body: short, framing: 'chunked' })
    const folder = await tempDir()
    const file = join(folder, 'x')
    await leave(await partOf(sealed, file), content.subarray(0, 2 * CHUNK), 2 * CHUNK)
    const work = download(`${server.url}/${ID}#${identity}`, { to: { file } })
    await expect(within(DEADLINE_MS, 'it fails', work)).rejects.toMatchObject({ code: 'not-authentic' })
    expect(await readdir(folder)).toEqual([])
  })
})

test('another run never goes on with the part of another transfer, even for the same key and the same id', async () => {
  const key = await newKey()
  const one = await sealedBody(4 * CHUNK, { key, seed: 1 })
  const other = await sealedBody(4 * CHUNK, { key, seed: 2 })
  const folder = await tempDir()
  const file = join(folder, 'x')
  const foreign = await partOf(one, file)
  await leave(foreign, one.content.subarray(0, 2 * CHUNK), 2 * CHUNK)
  // As a run without a key would have left it.
  const plain = `${file}.${ID}.part`
  await leave(plain, other.content.subarray(0, 2 * CHUNK), 2 * CHUNK)
  const server = await lyingServer({ note: other.note, body: other.body, framing: 'known' })
  await download(`${server.url}/${ID}#${key.identity}`, { to: { file } })
  expect(server.asked).toEqual(['HEAD', 'GET'])
  expect(sha256(await readFile(file))).toBe(sha256(other.content))
  expect(await sha256OfFile(foreign)).toBe(sha256(one.content.subarray(0, 2 * CHUNK)))
})

test('an age file without a note begins anew in another run, and leaves nothing that looks like a beginning', async () => {
  const { body, identity, content } = await sealedBody(4 * CHUNK)
  const folder = await tempDir()
  const file = join(folder, 'x')
  await leave(`${file}.${ID}.age.part`, content.subarray(0, 2 * CHUNK), 2 * CHUNK)
  const server = await lyingServer({ body, framing: 'known' })
  await download(`${server.url}/${ID}`, { to: { file }, identities: [identity] })
  expect(server.asked).toEqual(['HEAD', 'GET'])
  expect(sha256(await readFile(file))).toBe(sha256(content))
  expect(await readdir(folder)).toEqual(['x'])
})

test('a sealed part is removed when its link is over', async () => {
  const sealed = await sealedBody(4 * CHUNK)
  const server = await startServerHere()
  const folder = await tempDir()
  const file = join(folder, 'x')
  const part = await partOf(sealed, file)
  await leave(part, sealed.content.subarray(0, CHUNK), CHUNK)
  const others = [part.replace(ID, 'AnOtherLink1'), part.replace(/x\.Ab/, 'y.Ab'), `${file}.${ID}.0123.part`]
  for (const other of others) await leave(other, Buffer.from('mine'), 0)
  const work = download(`${server.url}/${ID}#${sealed.identity}`, { to: { file } })
  await expect(within(DEADLINE_MS, 'it fails', work)).rejects.toMatchObject({ code: 'not-found' })
  expect((await readdir(folder)).map((name) => join(folder, name)).sort()).toEqual([...others].sort())
})

describe.each(['file', 'pipe'] as const)('ess send -e of a %s', (source) => {
  test('ess get that was killed goes on when it is typed again', async () => {
    const server = await startServerHere('--resume-within', '30')
    const path = join(await tempDir(), 'film.mkv')
    const hash = await writeFileOf(path, 24 * MIB)
    const sending = send(source === 'file' ? path : createReadStream(path), {
      server: server.url,
      encrypt: true,
      name: 'film.mkv',
    })
    const events: StatusEvent[] = []
    void (async () => {
      for await (const event of sending) events.push(event)
    })().catch(() => {})
    await until('the link is there', () => events.some(({ event }) => event === 'opened'))
    const opened = events.find((event) => event.event === 'opened')
    const link = new URL(opened?.url ?? '')
    const slow = await startTcpProxy(server.port)
    onTestFinished(() => slow.close())
    await slow.strike({ kind: 'throttle', bytesPerSecond: 4 * MIB })
    const cwd = await tempDir()
    const through = new URL(link)
    through.port = String(slow.port)
    const first = await runEss(undefined, ['get', through.href, '-o', 'film.mkv'], { cwd })
    const part = await until('a part is on record', async () => {
      const [name] = (await readdir(cwd)).filter((one) => one.endsWith('.part'))
      const found = name === undefined ? undefined : await stat(join(cwd, name))
      return found !== undefined && found.atimeMs >= 1_000 && found.atimeMs < 1e9 && name
    })
    first.kill('SIGKILL')
    await first.ended()
    // Decrypted, and found again by a name that says nothing of the key.
    expect(part).toMatch(/^film\.mkv\.[\w-]{12}\.[0-9a-f]{16}\.part$/)
    const trusted = ((await stat(join(cwd, part))).atimeMs / 1000) * RECORD_BLOCK_BYTES
    const second = await runEss(undefined, ['get', link.href, '-o', 'film.mkv'], { cwd })
    expect(await second.ended()).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^ess: Going on from \d+\.\d MB\.\n$/),
    })
    expect(await sha256OfFile(join(cwd, 'film.mkv'))).toBe(hash)
    expect(await readdir(cwd)).toEqual(['film.mkv'])
    await within(DEADLINE_MS, 'the verdict', sending.verdict)
    const rewound = events.find((event) => event.event === 'rewind')
    // The chunk before what is trusted, so in a body with its header and some tags.
    const chunk = trusted / CHUNK - 1
    expect(rewound?.offset).toBeGreaterThanOrEqual(chunk * SEALED_CHUNK_BYTES + 100)
    expect(rewound?.offset).toBeLessThan((chunk + 1) * SEALED_CHUNK_BYTES)
  })

  test('a line that is cut again and again loses and doubles nothing', async () => {
    const server = await startServerHere('--resume-within', '30')
    const content = bytesOf(6 * MIB)
    const path = join(await tempDir(), 'film.mkv')
    await writeFile(path, content)
    for (const way of ['file', 'pipe', 'stream'] as const) {
      const network = await startTcpProxy(server.port)
      onTestFinished(() => network.close())
      const sending = send(source === 'file' ? path : createReadStream(path), {
        server: server.url,
        encrypt: true,
      })
      sending.verdict.catch(() => {})
      let url = ''
      const reading = (async () => {
        for await (const event of sending) if (event.event === 'opened') url = event.url
      })()
      reading.catch(() => {}) // The verdict says it.
      await until('the link is there', () => url !== '')
      const link = new URL(url)
      link.port = String(network.port)
      let cuts = 0
      const cutOnce = () => void network.arm({ kind: 'rst' }, 'down', MIB + 12_345)
      cutOnce()
      const got = await receive(link.href, way, {
        onResumed: () => {
          cuts++
          if (cuts < 3) cutOnce()
        },
      })
      expect(sha256(got)).toBe(sha256(content))
      expect(cuts).toBeGreaterThanOrEqual(2)
      await within(DEADLINE_MS, 'the verdict', sending.verdict)
    }
  })
})
