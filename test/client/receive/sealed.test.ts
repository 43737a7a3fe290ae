import { execFileSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Encrypter } from 'age-encryption'
import { beforeEach, describe, expect, test } from 'vitest'
import { type DownloadOptions, download, get, type Offer, type Source, send } from '../../../client/index.js'
import { openHeader } from '../../../client/seal/age.js'
import { sealedSource } from '../../../client/seal/sealed-source.js'
import type { SendOptions } from '../../../client/send/send-options.js'
import { headerEnd } from '../../../shared/age-header.js'
import { EssError, type StatusEvent } from '../../../shared/index.js'
import { bytesOf, sha256, streamOf } from '../../helpers/bytes.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { ID, problem } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { runCurl } from '../../helpers/run-curl.js'
import { sealedBody } from '../../helpers/sealed-body.js'
import { bytesSource, newKey } from '../../helpers/sealing.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

const CHUNK = 64 * 1024
const SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 10 * CHUNK + 17, 5 * 1024 * 1024]

interface Sealed {
  /** With its key, if there is one in it. */
  readonly link: string
  readonly events: readonly StatusEvent[]
  readonly verdict: Promise<unknown>
}

/** Seals and sends, and waits for the link. */
async function sealAndSend(
  what: string | Readable | Source,
  server: { readonly url: string },
  options: SendOptions = {},
): Promise<Sealed> {
  const sending = send(what, { server: server.url, encrypt: true, ...options })
  const events: StatusEvent[] = []
  void (async () => {
    for await (const event of sending) events.push(event)
  })().catch(() => {})
  await until('the link is there', () => events.some(({ event }) => event === 'opened'))
  const opened = events.find((event) => event.event === 'opened')
  const verdict = within(DEADLINE_MS, 'the verdict', sending.verdict)
  verdict.catch(() => {}) // A test that needs it awaits it.
  return { link: opened?.url ?? '', events, verdict }
}

async function fileOf(content: Buffer, name = 'film.mkv'): Promise<string> {
  const path = join(await tempDir(), name)
  await writeFile(path, content)
  return path
}

function collector(): { readonly stream: Writable; bytes(): Buffer } {
  const pieces: Buffer[] = []
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(Buffer.from(piece))
      // Slowly, so that its memory would be used again if it may.
      setImmediate(done)
    },
  })
  return { stream, bytes: () => Buffer.concat(pieces) }
}

async function failure(work: Promise<unknown>): Promise<EssError> {
  const error = await within(
    DEADLINE_MS,
    'it fails',
    work.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  if (error instanceof EssError) return error
  throw new Error(`Expected an EssError, got ${error}`)
}

describe.each(['file', 'stream'] as const)('what is sealed of a %s', (from) => {
  test.each(SIZES)('comes out as it was: %i bytes, by every way', async (size) => {
    const server = await startServerHere()
    const content = bytesOf(size)
    const source = async () => (from === 'file' ? await fileOf(content) : streamOf(size))
    const isSized = from === 'file' && size > 0
    const expected = {
      name: isSized || size === 0 ? expect.any(String) : expect.stringMatching(/^ess-/),
      size: isSized ? size : undefined,
      isSealed: true,
    }

    const folder = await tempDir()
    const first = await sealAndSend(await source(), server)
    const offers: Offer[] = []
    const progress: number[] = []
    const received = await download(first.link, {
      to: { folder },
      onOffer: (offer) => void offers.push(offer),
      onProgress: (bytes) => void progress.push(bytes),
    })
    const [name = ''] = await readdir(folder)
    expect(received).toMatchObject({ ...expected, bytes: size, path: join(folder, name) })
    expect(sha256(await readFile(join(folder, name)))).toBe(sha256(content))
    if (from === 'file') expect(name).toBe('film.mkv')
    expect(offers).toEqual([expect.objectContaining(expected)])
    expect(Object.keys(offers[0] ?? {})).not.toContain('seal')
    // In bytes of the file, like the size.
    expect(progress.every((bytes, at) => bytes <= size && bytes >= (progress[at - 1] ?? 0))).toBe(true)
    if (size > 0) expect(progress.at(-1)).toBe(size)
    await first.verdict

    const second = await sealAndSend(await source(), server)
    const output = collector()
    const piped = await download(second.link, { to: { stream: output.stream } })
    expect(piped).toMatchObject({ ...expected, bytes: size, path: undefined })
    expect(sha256(output.bytes())).toBe(sha256(content))
    await second.verdict

    const third = await sealAndSend(await source(), server)
    const stream = await get(third.link)
    expect(stream).toMatchObject(expected)
    const pieces: Buffer[] = []
    for await (const piece of stream) pieces.push(piece)
    expect(sha256(Buffer.concat(pieces))).toBe(sha256(content))
    await third.verdict
  })
})

test('a named pipe gets it, and its end', async () => {
  const server = await startServerHere()
  const content = bytesOf(10 * CHUNK + 17)
  const { link, verdict } = await sealAndSend(await fileOf(content), server)
  const fifo = join(await tempDir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const reading = within(DEADLINE_MS, 'the reader reads to the end', readFile(fifo))
  expect(await download(link, { to: { file: fifo } })).toMatchObject({
    bytes: content.length,
    path: undefined,
  })
  expect(sha256(await reading)).toBe(sha256(content))
  await verdict
})

test('the type is that of what is inside', async () => {
  const server = await startServerHere()
  const { link } = await sealAndSend(await fileOf(bytesOf(10)), server)
  expect((await fetch(link, { method: 'HEAD' })).headers.get('content-disposition')).toContain('.age')
  const stream = await get(link)
  expect(stream).toMatchObject({ name: 'film.mkv', type: 'application/octet-stream' })
  stream.resume()
})

/** What a receiver without the right key tries, and what it reads. */
const REFUSED: Readonly<
  Record<string, { code: string; exit: number; words: RegExp; options?: DownloadOptions }>
> = {
  'no key': { code: 'key-required', exit: 2, words: /all that is behind its #.* The link still works\.$/ },
  'a password': {
    code: 'key-required',
    exit: 2,
    words: /a password does not open it/,
    options: { passphrase: 'x' },
  },
  'a password that is asked for': {
    code: 'key-required',
    exit: 2,
    words: /all that is behind its #/,
    options: {
      passphrase: () => {
        throw new Error('It wants no password')
      },
    },
  },
}

describe.each(['folder', 'file', 'pipe', 'stream'] as const)('into a %s', (way) => {
  test.each(Object.entries(REFUSED))(
    '%s uses nothing up',
    async (_what, { code, exit, words, options = {} }) => {
      const server = await startServerHere()
      const content = bytesOf(100_000)
      const { link, events, verdict } = await sealAndSend(await fileOf(content), server)
      const folder = await tempDir()
      const to =
        way === 'folder'
          ? { folder }
          : way === 'file'
            ? { file: join(folder, 'x') }
            : { stream: collector().stream }
      const [bare = ''] = link.split('#')
      const error = await failure(way === 'stream' ? get(bare, options) : download(bare, { ...options, to }))
      expect([error.code, error.exitStatus, await readdir(folder)]).toEqual([code, exit, []])
      expect(error.message).toMatch(words)
      expect(events.map(({ event }) => event)).not.toContain('connected')
      const { identity } = await newKey()
      const wrong = { ...options, identities: [identity] }
      const another = await failure(way === 'stream' ? get(bare, wrong) : download(bare, { ...wrong, to }))
      expect([another.code, another.exitStatus, await readdir(folder)]).toEqual(['wrong-key', 9, []])
      expect(another.message).toMatch(/ The link still works\.$/)
      expect(events.map(({ event }) => event)).not.toContain('connected')
      const output = collector()
      await download(link, { to: { stream: output.stream } })
      expect(sha256(output.bytes())).toBe(sha256(content))
      await verdict
    },
  )
})

describe('for recipients', () => {
  test('any of their keys opens it, among others', async () => {
    const server = await startServerHere()
    const [anna, ben, carol] = [await newKey(), await newKey(), await newKey()]
    const content = bytesOf(200_000)
    for (const { identity } of [anna, ben]) {
      const { link, verdict } = await sealAndSend(await fileOf(content), server, {
        encrypt: { recipients: [anna.recipient, ben.recipient] },
      })
      expect(link).not.toContain('#')
      const folder = await tempDir()
      await download(link, { to: { folder }, identities: [carol.identity, identity] })
      expect(sha256(await readFile(join(folder, 'film.mkv')))).toBe(sha256(content))
      await verdict
    }
  })
})

describe('with a password', () => {
  const PASSWORD = 'correct horse battery staple'
  /** As a sender does, but with so little work that many tries take no time. */
  async function sealWithPassword() {
    const server = await startServerHere()
    const content = bytesOf(1000)
    const encrypter = new Encrypter()
    encrypter.setPassphrase(PASSWORD)
    encrypter.setScryptWorkFactor(8)
    const emptyFile = Buffer.from(await encrypter.encrypt(''))
    const header = emptyFile.subarray(0, headerEnd(emptyFile))
    const opened = await openHeader(header, { identities: [], passphrase: PASSWORD })
    const source = sealedSource(bytesSource(content), 'film.mkv', opened)
    return { content, ...(await sealAndSend(source, server, { encrypt: false })) }
  }

  test('what ess seals with one opens with it', async () => {
    const server = await startServerHere()
    const content = bytesOf(1000)
    const { link } = await sealAndSend(await fileOf(content), server, { encrypt: { passphrase: PASSWORD } })
    expect(link).not.toContain('#')
    const pieces: Buffer[] = []
    for await (const piece of await get(link, { passphrase: PASSWORD })) pieces.push(piece)
    expect(Buffer.concat(pieces)).toEqual(content)
  })

  test('it is asked for once, and again after a wrong one', async () => {
    const { link, content, events, verdict } = await sealWithPassword()
    expect(await failure(get(link))).toMatchObject({
      code: 'key-required',
      message:
        'This file is encrypted with a password, and you gave none. Say --password to type it. The link still works.',
    })
    expect(await failure(get(link, { identities: [(await newKey()).identity] }))).toMatchObject({
      code: 'key-required',
    })
    expect(await failure(get(link, { passphrase: 'wrong' }))).toMatchObject({
      code: 'wrong-key',
      exitStatus: 9,
    })
    const asked: number[] = []
    const giveUp = (attempt: number) => {
      asked.push(attempt)
      return attempt <= 2 ? `wrong ${attempt}` : undefined
    }
    expect(await failure(get(link, { passphrase: giveUp }))).toMatchObject({ code: 'wrong-key' })
    expect(asked).toEqual([1, 2, 3])
    expect(await failure(get(link, { passphrase: () => undefined }))).toMatchObject({ code: 'key-required' })
    // It would be asked for ever.
    expect(await failure(get(link, { passphrase: async () => 'wrong' }))).toMatchObject({ code: 'wrong-key' })
    expect(events.map(({ event }) => event)).not.toContain('connected')

    const tries: number[] = []
    const folder = await tempDir()
    const passphrase = async (attempt: number) => {
      tries.push(attempt)
      return attempt === 1 ? 'wrong' : PASSWORD
    }
    await download(link, { to: { folder }, passphrase })
    expect(tries).toEqual([1, 2])
    expect(await readFile(join(folder, 'film.mkv'))).toEqual(content)
    await verdict
  })

  test('what it throws is what the download fails with', async () => {
    const { link } = await sealWithPassword()
    const reason = new EssError('interrupted', 'Nobody is there.')
    const passphrase = () => {
      throw reason
    }
    expect(await failure(get(link, { passphrase }))).toBe(reason)
  })
})

test('a receiver that waits learns that it is sealed when the sender comes, and uses nothing up', async () => {
  const server = await startServerHere('--reservations')
  const accept = { accept: 'application/json' }
  const reserved = await fetch(`${server.url}/reserve`, { method: 'POST', headers: accept })
  // The server's own answer.
  const { url, upload } = (await reserved.json()) as { url: string; upload: string }
  const early = failure(get(url, { wait: 10 }))
  await delay(300)
  const { note, body, identity, content } = await sealedBody(1000)
  const headers = { ...accept, 'ess-sealed': note }
  const uploaded = fetch(new URL(upload, server.url), { method: 'PUT', headers, body })
  expect(await early).toMatchObject({ code: 'key-required' })
  const pieces: Buffer[] = []
  for await (const piece of await get(url, { identities: [identity], wait: 10 })) pieces.push(piece)
  expect(Buffer.concat(pieces)).toEqual(content)
  expect((await uploaded).status).toBe(200)
})

test('what HEAD has waited, GET need not wait', async () => {
  const server = await rawServer()
  const asked = get(`${server.url}/${ID}`, { wait: 7 })
  const look = await server.accept()
  expect((await look.until(/\r\n\r\n/)).input).toMatch(/^HEAD \/\w+\?wait=7 /)
  await delay(1_100)
  look.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  const connection = await server.accept()
  expect((await connection.until(/\r\n\r\n/)).input).toMatch(/^GET \/\w+\?wait=6 /)
  connection.end(problem(404, 'not-found', 'nobody came'))
  expect(await failure(asked)).toMatchObject({ code: 'not-found', message: 'nobody came' })
})

describe('an age file of another program', () => {
  const WITH = {
    typage: async (recipient: string, content: Buffer) => {
      const encrypter = new Encrypter()
      encrypter.addRecipient(recipient)
      return Buffer.from(await encrypter.encrypt(content))
    },
    age: async (recipient: string, content: Buffer) => {
      const age = await run('age', 'age', ['-r', recipient], { stdin: content })
      const { code, stdout } = await age.ended()
      expect(code).toBe(0)
      return stdout
    },
  }

  describe.each(['typage', 'age'] as const)('sealed by %s', (program) => {
    beforeEach((context) => needs(context, 'curl', ...(program === 'age' ? ['age'] : [])))

    test.each(SIZES)('is opened, whichever way curl sends it: %i bytes', async (size) => {
      const server = await startServerHere()
      const key = await newKey()
      const content = bytesOf(size)
      const sealed = await WITH[program](key.recipient, content)
      const path = await fileOf(sealed, 'Film.mkv.AGE')
      for (const args of [
        [path, `${server.url}/`],
        ['-', `${server.url}/film.mkv.age`],
      ] as const) {
        const isPiped = args[0] === '-'
        const curl = () =>
          runCurl(['-sN', '-H', 'Accept: application/x-ndjson', '-T', ...args], {
            stdin: isPiped ? { file: path } : '',
          })
        const expected = {
          name: isPiped ? 'film.mkv' : 'Film.mkv',
          size: isPiped ? undefined : size,
          bytes: size,
          isSealed: true,
        }
        const first = await curl()
        const [, link = ''] = await first.untilStdout(/"url":"([^"]+)"/)
        const folder = await tempDir()
        expect(await download(link, { to: { folder }, identities: [key.identity] })).toMatchObject(expected)
        expect(await readdir(folder)).toEqual([expected.name])
        expect(sha256(await readFile(join(folder, expected.name)))).toBe(sha256(content))
        expect((await first.ended()).stdout.toString()).toContain('"delivered"')
        const second = await curl()
        const [, again = ''] = await second.untilStdout(/"url":"([^"]+)"/)
        const pieces: Buffer[] = []
        for await (const piece of await get(`${again}#${key.identity}`)) pieces.push(piece)
        expect(sha256(Buffer.concat(pieces))).toBe(sha256(content))
        expect((await second.ended()).stdout.toString()).toContain('"delivered"')
      }
    })
  })

  test('with a password is opened by one that is asked for', async () => {
    const server = await startServerHere()
    const encrypter = new Encrypter()
    encrypter.setPassphrase('sesame')
    encrypter.setScryptWorkFactor(10)
    const path = await fileOf(Buffer.from(await encrypter.encrypt('hello')), 'note.txt.age')
    const curl = await runCurl(['-sN', '-H', 'Accept: application/x-ndjson', '-T', path, `${server.url}/`])
    const [, link = ''] = await curl.untilStdout(/"url":"([^"]+)"/)
    const asked: number[] = []
    const passphrase = (attempt: number) => {
      asked.push(attempt)
      return attempt === 1 ? 'open' : 'sesame'
    }
    const folder = await tempDir()
    await download(link, { to: { folder }, passphrase, sealed: true })
    expect(await readFile(join(folder, 'note.txt'), 'utf8')).toBe('hello')
    expect(asked).toEqual([1, 2])
  })

  test('without a key is a file as any other', async () => {
    const server = await startServerHere()
    const { recipient } = await newKey()
    const sealed = await WITH.typage(recipient, bytesOf(100))
    const sending = send(await fileOf(sealed, 'film.mkv.age'), { server: server.url })
    const opened = await within(
      DEADLINE_MS,
      'the link',
      (async () => {
        for await (const event of sending) if (event.event === 'opened') return event.url
        throw new Error('no link')
      })(),
    )
    const folder = await tempDir()
    expect(await download(opened, { to: { folder } })).toMatchObject({
      name: 'film.mkv.age',
      bytes: sealed.length,
    })
    expect(await readFile(join(folder, 'film.mkv.age'))).toEqual(sealed)
  })
})
