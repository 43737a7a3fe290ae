import { once } from 'node:events'
import { open, writeFile } from 'node:fs/promises'
import { get as request } from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Sending, type SendOptions, send } from '../../../client/index.js'
import { openHeader } from '../../../client/seal/age.js'
import { CHUNK_BYTES, SEALED_CHUNK_BYTES } from '../../../client/seal/payload.js'
import { headerOfNote, readNote } from '../../../client/seal/sealed-note.js'
import { headerEnd } from '../../../shared/age-header.js'
import { EssError, type OpenedEvent, type StatusEvent, splitSealedLink } from '../../../shared/index.js'
import { bytesOf, streamOf } from '../../helpers/bytes.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { bytesSource, newKey, openBytes } from '../../helpers/sealing.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

const MIB = 1024 * 1024
const RESUMES = ['--resume-within', '20', '--reservations']

/** A transfer whose events are read as they come. */
function follow(sending: Sending) {
  const events: StatusEvent[] = []
  const reading = (async () => {
    for await (const event of sending) events.push(event)
  })()
  reading.catch(() => {}) // The test awaits the verdict.
  return {
    events,
    async opened(): Promise<OpenedEvent> {
      return await until('the link is there', () => events.find((event) => event.event === 'opened'))
    },
    verdict: () => within(DEADLINE_MS, 'the verdict', sending.verdict),
  }
}

type Sender = ReturnType<typeof follow>

/** Asks for a link as a program does that knows nothing of sealing, and takes this many bytes at most. Then it hangs up. */
async function take(
  link: string,
  fields: Readonly<Record<string, string>> = {},
  bytes = Number.POSITIVE_INFINITY,
) {
  const receiving = request(link, { headers: fields, agent: false })
  onTestFinished(() => void receiving.destroy())
  const [head] = await within(DEADLINE_MS, 'the head of the download', once(receiving, 'response'))
  const blocks: Buffer[] = []
  let taken = 0
  const reading = (async () => {
    for await (const block of head) {
      blocks.push(block.subarray(0, bytes - taken))
      taken += block.length
      if (taken >= bytes) return
    }
  })()
  await within(DEADLINE_MS, `${bytes} bytes are here`, reading)
  if (taken >= bytes) receiving.destroy()
  return { status: head.statusCode, fields: head.headers, bytes: Buffer.concat(blocks) }
}

/** The head of a link, which uses nothing up. */
async function headOf(link: string) {
  const asking = request(link, { method: 'HEAD', agent: false })
  const [head] = await within(DEADLINE_MS, 'the head', once(asking, 'response'))
  head.resume()
  return head.headers
}

async function fileOf(content: Buffer, name = 'report.pdf'): Promise<string> {
  const path = join(await tempDir(), name)
  await writeFile(path, content)
  return path
}

const WAYS: readonly { readonly way: string; readonly size: number; readonly options: SendOptions }[] = [
  { way: 'in one request', size: 3 * MIB, options: {} },
  { way: 'by a reservation', size: 3 * MIB, options: { reserve: true } },
  { way: 'by a reservation, in pieces', size: 20 * MIB, options: { reserve: true } },
]

describe.each(WAYS)('what is sealed and goes $way', ({ size, options }) => {
  const KINDS: readonly [string, (content: Buffer) => Promise<string | Readable>][] = [
    ['a file', (content) => fileOf(content)],
    ['a pipe', async () => streamOf(size)],
  ]

  test.each(KINDS)('is opened by the program age: %s', async (_, sourceOf) => {
    const server = await startServerHere(...RESUMES)
    const content = bytesOf(size)
    const source = await sourceOf(content)
    const sender = follow(
      send(source, { server: server.url, encrypt: true, ...options, name: 'tax return.pdf' }),
    )
    const { url } = await sender.opened()
    const { link, identity = '' } = splitSealedLink(url)
    const { fields, bytes } = await take(link)
    expect(await sender.verdict()).toMatchObject({ event: 'delivered', bytes: bytes.length })

    expect(fields['content-type']).toBe('application/octet-stream')
    expect(fields['content-disposition']).toMatch(/^attachment; filename="?[\w-]+\.age"?$/)
    const sealedNote = String(fields['ess-sealed'])
    const { fileKey } = await openHeader(headerOfNote(sealedNote), { identities: [identity] })
    expect(readNote(sealedNote, fileKey)).toMatchObject({
      name: 'tax return.pdf',
      ...(typeof source === 'string' && { size }),
    })
    if (typeof source === 'string') expect(fields['content-length']).toBe(String(bytes.length))
    expect(JSON.stringify([fields, link, server.stderr()])).not.toMatch(/return|report/)

    const key = join(await tempDir(), 'key.txt')
    await writeFile(key, `${identity}\n`)
    const age = await run('age -d', 'age', ['-d', '-i', key], { stdin: bytes })
    const { code, stdout, stderr } = await age.ended()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.equals(content)).toBe(true)
  })

  beforeEach((context) => needs(context, 'age'))
})

describe('the requests of a sealed file', () => {
  test.each([false, true])('have no name in them (reserved: %s)', async (reserve) => {
    const server = await rawServer()
    const path = await fileOf(bytesOf(10))
    const sending = send(path, { server: server.url, encrypt: true, name: 'tax return.pdf', reserve })
    sending.verdict.catch(() => {}) // Nothing answers.
    const asked = await server.accept()
    const [head] = await asked.until(/^[\s\S]*\r\n\r\n/)
    expect(head).toMatch(reserve ? /^POST \/reserve HTTP/ : /^POST \/ HTTP/)
    expect(head).toMatch(/\r\ness-sealed: [\w-]{100,3072}\r\n/i)
    expect(head).not.toMatch(/return|report|AGE-SECRET/i)
  })
})

test('a reserved link shows what is sealed before its sender has sent a byte', async () => {
  const server = await startServerHere(...RESUMES)
  const sender = follow(
    send(await fileOf(bytesOf(1000)), { server: server.url, encrypt: true, reserve: true }),
  )
  const { link, identity = '' } = splitSealedLink((await sender.opened()).url)
  const fields = await headOf(link)
  const { fileKey } = await openHeader(headerOfNote(String(fields['ess-sealed'])), { identities: [identity] })
  const note = readNote(String(fields['ess-sealed']), fileKey)
  expect(note).toMatchObject({ name: 'report.pdf', size: 1000 })
  const { bytes } = await take(link)
  expect(bytes.subarray(headerEnd(bytes)).subarray(0, 16)).toEqual(note.payloadNonce)
  await sender.verdict()
})

describe('the link', () => {
  test('has a new key for each transfer', async () => {
    const server = await startServerHere()
    const links = await Promise.all(
      [1, 2].map(async () => {
        const sender = follow(send(await fileOf(bytesOf(10)), { server: server.url, encrypt: true }))
        const { url } = await sender.opened()
        await take(splitSealedLink(url).link)
        await sender.verdict()
        return splitSealedLink(url)
      }),
    )
    expect(new Set(links.map(({ identity }) => identity)).size).toBe(2)
    expect(links.map(({ identity }) => identity)).not.toContain(undefined)
  })

  test('has none for recipients, whose own keys open it', async () => {
    const server = await startServerHere()
    const content = bytesOf(CHUNK_BYTES)
    const keys = [await newKey(), await newKey()]
    const encrypt = { recipients: keys.map(({ recipient }) => recipient) }
    const sender = follow(send(await fileOf(content), { server: server.url, encrypt }))
    const { url } = await sender.opened()
    expect(url).not.toContain('#')
    const { bytes } = await take(url)
    for (const { identity } of keys)
      expect((await openBytes(bytes, { identities: [identity] })).equals(content)).toBe(true)
    await sender.verdict()
  })

  test('has none for a passphrase', async () => {
    const server = await startServerHere()
    const content = bytesOf(CHUNK_BYTES)
    const encrypt = { passphrase: 'correct horse' }
    const sender = follow(send(await fileOf(content), { server: server.url, encrypt }))
    const { url } = await sender.opened()
    expect(url).not.toContain('#')
    const { bytes } = await take(url)
    expect((await openBytes(bytes, { identities: [], passphrase: 'correct horse' })).equals(content)).toBe(
      true,
    )
    await sender.verdict()
  })
})

describe('after cuts at any byte', () => {
  const SIZE = 6 * MIB + 12_345
  // Each run has other numbers. The seed of one that failed is in its message.
  const seed = Math.floor(Math.random() * 2 ** 31)
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 1
    return state % Math.floor(below)
  }

  /** Takes a sealed file in pieces, each time from a byte that it has or a bit before, until it has all. */
  async function takeInPieces(
    link: string,
    { events }: Sender,
    fieldsFor: (from: number) => Record<string, string>,
  ): Promise<Buffer> {
    let have = Buffer.alloc(0)
    for (let cuts = 0; ; cuts++) {
      const from = cuts === 0 ? 0 : Math.max(0, have.length - random(2 * CHUNK_BYTES))
      const most = cuts < 8 ? 1 + random(SIZE / 6) : Number.POSITIVE_INFINITY
      const { status, bytes } = await take(link, cuts === 0 ? {} : fieldsFor(from), most)
      expect(
        [200, 206],
        `seed ${seed}, cut ${cuts}, from ${from} of ${have.length}: ${bytes.subarray(0, 500)}`,
      ).toContain(status)
      const again = bytes.subarray(0, have.length - from)
      // What comes twice is the same twice.
      expect(again.equals(have.subarray(from, from + again.length)), `seed ${seed}, cut ${cuts}`).toBe(true)
      have = Buffer.concat([have.subarray(0, from), bytes])
      if (bytes.length < most) return have
      // Until then, the server may not have counted what is here.
      await until(`cut ${cuts} is noticed (seed ${seed})`, () => {
        const kinds = events
          .map(({ event }) => event)
          .filter((kind) => /^(?:interrupted|resumed)$/.test(kind))
        return kinds.filter((kind) => kind === 'resumed').length === cuts && kinds.at(-1) === 'interrupted'
      })
    }
  }

  test('a sealed file is whole, and opens', async () => {
    const server = await startServerHere(...RESUMES)
    const content = bytesOf(SIZE)
    const sender = follow(send(await fileOf(content), { server: server.url, encrypt: true }))
    const opened = await sender.opened()
    const { link, identity = '' } = splitSealedLink(opened.url)
    const file = await takeInPieces(link, sender, (from) => ({
      range: `bytes=${from}-`,
      'if-match': `"${opened.id}"`,
    }))
    expect((await openBytes(file, { identities: [identity] })).equals(content), `seed ${seed}`).toBe(true)
    expect(await sender.verdict()).toMatchObject({ event: 'delivered', bytes: file.length })
    expect(sender.events.map(({ event }) => event)).toContain('resumed')
  })

  test('a sealed pipe is whole, and opens', async () => {
    const server = await startServerHere(...RESUMES)
    const sender = follow(send(streamOf(SIZE), { server: server.url, encrypt: true }))
    const opened = await sender.opened()
    const { link, identity = '' } = splitSealedLink(opened.url)
    const file = await takeInPieces(link, sender, (from) => ({
      'ess-offset': String(from),
      'if-match': `"${opened.id}"`,
    }))
    expect((await openBytes(file, { identities: [identity] })).equals(bytesOf(SIZE)), `seed ${seed}`).toBe(
      true,
    )
    expect(await sender.verdict()).toMatchObject({ event: 'delivered', bytes: file.length })
  })
})

describe('a file that is written to while its receiver is away', () => {
  const SIZE = 4 * MIB

  /** The receiver takes a part, the file is changed by `change`, and the receiver comes back. What it gets then. */
  async function changedMidway(change: (path: string) => Promise<void>, encrypt: SendOptions['encrypt']) {
    const server = await startServerHere(...RESUMES)
    const content = bytesOf(SIZE)
    const path = await fileOf(content)
    const sender = follow(send(path, { server: server.url, encrypt }))
    const opened = await sender.opened()
    const { link } = splitSealedLink(opened.url)
    const first = await take(link, {}, 3 * MIB)
    await until('the sender knows', () => sender.events.some(({ event }) => event === 'interrupted'))
    await change(path)
    const receiving = request(link, {
      headers: { range: `bytes=${MIB}-`, 'if-match': `"${opened.id}"` },
      agent: false,
    })
    onTestFinished(() => void receiving.destroy())
    const blocks: Buffer[] = []
    receiving.on('response', (head) => {
      // Anything else is the server's own words.
      if (head.statusCode !== 206) return void head.resume()
      head.on('data', (block: Buffer) => blocks.push(block))
      head.on('error', () => {}) // It is cut off, and the test looks at the bytes.
    })
    receiving.on('error', () => {}) // The same before the head.
    const error = await sender.verdict().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    return { error, first: first.bytes, second: Buffer.concat(blocks) }
  }

  test.each([true, undefined])(
    'is not sent on, and not a byte of it goes out (encrypt: %s)',
    async (encrypt) => {
      const { error, second } = await changedMidway((path) => writeFile(path, bytesOf(SIZE, 2)), encrypt)
      expect(error).toMatchObject({
        code: 'file-changed',
        message: expect.stringMatching(/was written to while/),
      })
      expect(second).toHaveLength(0)
    },
  )

  test('is not sealed again with the same key, though its time says that it is the same', async () => {
    const { error, first, second } = await changedMidway(async (path) => {
      const touch = async (...args: string[]) => await (await run('touch', 'touch', args)).ended()
      // Node sets times in milliseconds, and touch to the nanosecond.
      await touch('-r', path, `${path}.times`)
      const file = await open(path, 'r+')
      await file.write(Buffer.from('changed'), 0, 7, 2 * MIB)
      await file.close()
      await touch('-r', `${path}.times`, path)
    }, true)
    expect(error).toMatchObject({
      code: 'file-changed',
      message: expect.stringMatching(/two versions must not be encrypted/),
    })
    // What did go out is what went out before.
    expect(first.subarray(MIB, MIB + second.length).equals(second)).toBe(true)
    expect(MIB + second.length).toBeLessThan(2 * MIB + 2 * SEALED_CHUNK_BYTES)
  })
})

describe('send() refuses', async () => {
  const { recipient } = await newKey()

  test.each<[string, unknown, RegExp]>([
    ['an option of encrypt that is none', { recipient: ['age1'] }, /Did you mean "recipients"\?/],
    ['neither recipients nor a passphrase', {}, /either recipients or a passphrase/],
    ['both', { recipients: ['age1'], passphrase: 'x' }, /either recipients or a passphrase/],
    ['recipients that are no array', { recipients: 'age1' }, /must be an array/],
    ['recipients that are no strings', { recipients: [1] }, /must be an array/],
    ['a passphrase that is no string', { passphrase: 1 }, /must be a string, not 1/],
    ['an empty passphrase', { passphrase: '' }, /must not be empty/],
    ['no recipients', { recipients: [] }, /at least one recipient/],
    ['a recipient that is none', { recipients: ['ssh-ed25519 AAAA'] }, /SSH keys are not taken/],
    [
      'more recipients than there is room for',
      { recipients: Array(40).fill(recipient) },
      /These are 40 recipients/,
    ],
    ['what is no object', 'yes', /its options are an object/],
  ])('%s, before anything is sent', async (_, encrypt, words) => {
    // Nothing listens there.
    const sending = send(bytesSource(bytesOf(10)), {
      server: 'http://127.0.0.1:9',
      encrypt: encrypt as SendOptions['encrypt'],
    })
    const error = await within(
      DEADLINE_MS,
      'the refusal',
      sending.verdict.catch((reason: unknown) => reason),
    )
    expect(error).toBeInstanceOf(EssError)
    expect(error).toMatchObject({ code: 'usage', message: expect.stringMatching(words) })
  })

  test('nothing for encrypt: false', async () => {
    const server = await startServerHere()
    const sender = follow(send(await fileOf(bytesOf(10)), { server: server.url, encrypt: false }))
    const { url } = await sender.opened()
    expect((await take(url)).bytes).toEqual(bytesOf(10))
    await sender.verdict()
  })
})

test('a bundle says so in the open only when it is not sealed', async () => {
  const server = await startServerHere()
  const facts = { name: 'photos.tar', type: 'application/x-tar', bundle: { entries: 7 } }
  const plain = follow(send(bytesSource(bytesOf(1024), facts), { server: server.url }))
  const open = await take((await plain.opened()).url)
  expect(open.fields).toMatchObject({ 'ess-bundle': 'tar;entries=7', 'content-type': 'application/x-tar' })
  const hidden = follow(send(bytesSource(bytesOf(1024), facts), { server: server.url, encrypt: true }))
  const { link, identity = '' } = splitSealedLink((await hidden.opened()).url)
  const { fields } = await take(link)
  expect(fields).not.toHaveProperty('ess-bundle')
  const { fileKey } = await openHeader(headerOfNote(String(fields['ess-sealed'])), { identities: [identity] })
  expect(readNote(String(fields['ess-sealed']), fileKey)).toMatchObject({ ...facts, size: 1024 })
  await plain.verdict()
  await hidden.verdict()
})
