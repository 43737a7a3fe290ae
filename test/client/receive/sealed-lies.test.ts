import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { download, get } from '../../../client/index.js'
import { EssError } from '../../../shared/index.js'
import { ID } from '../../helpers/client-wire.js'
import { type Lie, lyingServer } from '../../helpers/lying-server.js'
import { runEss } from '../../helpers/run-ess.js'
import { type SealedBody, sealedBody } from '../../helpers/sealed-body.js'
import { newKey } from '../../helpers/sealing.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

const CHUNK = 64 * 1024
const WAYS = ['file', 'pipe', 'stream'] as const
type Way = (typeof WAYS)[number]

/** What a receiver of a lie has in the end. */
interface Ending {
  readonly error: EssError | undefined
  /** What a pipe or a stream got. */
  readonly bytes: Buffer
  /** What is in the folder of a file. */
  readonly files: readonly string[]
}

async function receive(url: string, identity: string | undefined, way: Way): Promise<Ending> {
  const link = `${url}/${ID}${identity === undefined ? '' : `#${identity}`}`
  const folder = await tempDir()
  const pieces: Buffer[] = []
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(Buffer.from(piece))
      done()
    },
  })
  const work = async () => {
    if (way !== 'stream')
      await download(link, { to: way === 'file' ? { file: join(folder, 'x') } : { stream } })
    else for await (const piece of await get(link)) pieces.push(piece)
  }
  const error = await within(
    DEADLINE_MS,
    'the receiver ends',
    work().then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  if (error !== undefined && !(error instanceof EssError)) throw error
  return { error, bytes: Buffer.concat(pieces), files: await readdir(folder) }
}

/** The receiver finds it out: no file, nothing but what the sender sealed, and the sender is told that it failed. */
async function expectFoundOut({ content, identity }: SealedBody, lie: Lie, way: Way): Promise<void> {
  const server = await lyingServer(lie)
  const { error, bytes, files } = await receive(server.url, identity, way)
  expect(error).toMatchObject({ code: 'not-authentic', exitStatus: 9 })
  expect(files).toEqual([])
  expect(bytes.equals(content.subarray(0, bytes.length))).toBe(true)
  expect(bytes.length).toBeLessThanOrEqual(Math.max(0, content.length - 1))
  if (!server.asked.includes('GET')) return
  expect(await server.lastEnding()).toBe('rst')
  // A cut alone would have the sender wait.
  expect(server.asked.at(-1)).toBe('DELETE')
  if (bytes.length > 0) expect(error?.message).toContain('it is not the whole file. Ask the sender')
}

const sealed = await sealedBody(3 * CHUNK + 1000)

/** The body with one bit changed; a negative offset counts from its end. */
function flipped(body: Buffer, offset: number): Buffer {
  const at = offset < 0 ? body.length + offset : offset
  const copy = Buffer.from(body)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}

const { body, chunks, headerBytes, beginBytes } = sealed
const begin = body.subarray(0, beginBytes)
const [first = begin, second = begin, third = begin, last = begin] = chunks
const of = (...pieces: readonly Buffer[]) => Buffer.concat(pieces)

const CHANGED: Readonly<Record<string, Buffer>> = {
  'a bit in the first line': flipped(body, 3),
  'a bit in the recipient': flipped(body, 40),
  "a bit in the header's last line": flipped(body, headerBytes - 5),
  'a bit in the nonce': flipped(body, headerBytes + 1),
  'the first bit of the first chunk': flipped(body, beginBytes),
  'a bit in the first tag': flipped(body, beginBytes + CHUNK),
  'a bit in the second chunk': flipped(body, beginBytes + CHUNK + 16 + 7),
  'a bit in the last chunk': flipped(body, -100),
  'the last bit': flipped(body, -1),
  'a header of other recipients': of(randomBytes(headerBytes), body.subarray(headerBytes)),
  'the first chunk dropped': of(begin, second, third, last),
  'the second chunk dropped': of(begin, first, third, last),
  'the last chunk dropped': of(begin, first, second, third),
  'all chunks dropped': begin,
  'the nonce dropped': body.subarray(0, headerBytes),
  'half of the header dropped': body.subarray(0, headerBytes >> 1),
  nothing: Buffer.alloc(0),
  'the second chunk twice': of(begin, first, second, second, third, last),
  'the last chunk twice': of(begin, first, second, third, last, last),
  'two chunks swapped': of(begin, second, first, third, last),
  'the last chunk first': of(begin, last, first, second, third),
  'the last byte dropped': body.subarray(0, -1),
  'the last tag dropped': body.subarray(0, -16),
  'the last chunk cut to its tag': of(begin, first, second, third, last.subarray(-16)),
  'a byte more': of(body, Buffer.alloc(1)),
  'a tag more': of(body, Buffer.alloc(16)),
  'a chunk more': of(body, randomBytes(CHUNK + 16)),
  'the whole again': of(body, body),
  'what it was before it was sealed': sealed.content,
  'a web page': Buffer.from('<!doctype html><title>Sign in</title>'),
}

describe.each(['known', 'chunked'] as const)('a sealed body with a length that is %s', (framing) => {
  describe.each(WAYS)('into a %s', (way) => {
    test.each(Object.entries(CHANGED))('and has %s', async (_what, changed) => {
      await expectFoundOut(sealed, { note: sealed.note, body: changed, framing }, way)
    })
  })
})

describe.each(WAYS)('into a %s', (way) => {
  test('the same length with other bytes passes nothing, and the true length at HEAD helps no liar', async () => {
    const short = of(begin, first, second)
    const lie: Lie = { note: sealed.note, body: short, framing: 'known', lengthOfHead: body.length }
    await expectFoundOut(sealed, lie, way)
  })

  test('the body of another transfer to the same key is found out, and so is its note', async () => {
    const key = await newKey()
    const one = await sealedBody(2 * CHUNK + 5, { key, seed: 1, name: 'one' })
    const other = await sealedBody(2 * CHUNK + 5, { key, seed: 2, name: 'other' })
    for (const framing of ['known', 'chunked'] as const) {
      await expectFoundOut(one, { note: one.note, body: other.body, framing }, way)
      // The header of the one, so that only the payload is the other's.
      const mixed = of(one.body.subarray(0, one.beginBytes), other.body.subarray(other.beginBytes))
      await expectFoundOut(one, { note: one.note, body: mixed, framing }, way)
    }
  })

  test('a note that was changed is found out before anything is used up', async () => {
    const file = Buffer.from(sealed.note, 'base64url')
    for (const at of [headerBytes - 5, headerBytes + 3, headerBytes + 20, file.length - 1]) {
      const note = flipped(file, at).toString('base64url')
      const server = await lyingServer({ note, body, framing: 'known' })
      const { error, bytes, files } = await receive(server.url, sealed.identity, way)
      expect([error?.code, bytes.length, files]).toEqual(['not-authentic', 0, []])
      expect(server.asked).toEqual(['HEAD'])
    }
  })

  test('a note that comes and goes is a lie', async () => {
    const server = await lyingServer({ note: sealed.note, noteOfGet: '', body, framing: 'known' })
    const { error, bytes, files } = await receive(server.url, sealed.identity, way)
    expect([error?.code, bytes.length, files]).toEqual(['not-authentic', 0, []])
    expect(server.asked).toEqual(['HEAD', 'GET', 'DELETE'])
  })

  test('with a key, a server that takes the note away can pass nothing plain', async () => {
    for (const framing of ['known', 'chunked'] as const)
      for (const plain of [sealed.content, Buffer.alloc(0), Buffer.from('age-encryption.org/v1\n'), begin])
        await expectFoundOut(sealed, { body: plain, framing }, way)
  })

  test('with a key, what is sealed for another one is refused', async () => {
    const stranger = await newKey()
    const noted = await lyingServer({ note: sealed.note, body, framing: 'known' })
    const wrong = await receive(noted.url, stranger.identity, way)
    expect([wrong.error?.code, wrong.bytes.length, wrong.files]).toEqual(['wrong-key', 0, []])
    expect(wrong.error?.message).toMatch(/ The link still works\.$/)
    expect(noted.asked).toEqual(['HEAD'])
    const bare = await lyingServer({ body, framing: 'known' })
    const found = await receive(bare.url, stranger.identity, way)
    expect([found.error?.code, found.bytes.length, found.files]).toEqual(['wrong-key', 0, []])
    expect(found.error?.message).not.toContain('still works')
  })

  test('without a key, nothing is used up', async () => {
    const server = await lyingServer({ note: sealed.note, body, framing: 'known' })
    const { error, bytes, files } = await receive(server.url, undefined, way)
    expect([error?.code, error?.exitStatus, bytes.length, files]).toEqual(['key-required', 2, 0, []])
    expect(error?.message).toMatch(/ The link still works\.$/)
    expect(server.asked).toEqual(['HEAD'])
  })
})

describe('ess get', () => {
  const changed = flipped(body, beginBytes + CHUNK + 16 + 7)

  test('exits with 9, and has nothing', async () => {
    const cwd = await tempDir()
    for (const framing of ['known', 'chunked'] as const) {
      const server = await lyingServer({ note: sealed.note, body: changed, framing })
      const ess = await runEss(undefined, ['get', `${server.url}/${ID}#${sealed.identity}`, '-o', 'x'], {
        cwd,
      })
      const { code, stdout, stderr } = await ess.ended()
      expect([code, stdout.length, await readdir(cwd)]).toEqual([9, 0, []])
      expect(stderr).toMatch(/^ess: What came is not what .* Nothing was kept\. .* \[not-authentic\]\n$/)
    }
  })

  test('exits with 9, and a pipe got what is authentic alone', async () => {
    const server = await lyingServer({ note: sealed.note, body: changed, framing: 'known' })
    const ess = await runEss(undefined, ['get', `${server.url}/${ID}#${sealed.identity}`])
    const { code, stdout, stderr } = await ess.ended()
    expect(code).toBe(9)
    expect(stdout.equals(sealed.content.subarray(0, CHUNK))).toBe(true)
    expect(stderr).toMatch(/ it is not the whole file\. .* \[not-authentic\]\n$/)
  })

  test('exits with 9, and does not speak of what a pipe has if it got nothing', async () => {
    const server = await lyingServer({ note: sealed.note, body: flipped(body, 3), framing: 'known' })
    const ess = await runEss(undefined, ['get', `${server.url}/${ID}#${sealed.identity}`])
    const { code, stdout, stderr } = await ess.ended()
    expect([code, stdout.length]).toEqual([9, 0])
    expect(stderr).toMatch(
      / You have got nothing of it\. Ask the sender to send it again\. \[not-authentic\]\n$/,
    )
  })

  test('without the key, into a pipe too, uses nothing up and exits with 2; with a wrong one with 9', async () => {
    const server = await lyingServer({ note: sealed.note, body, framing: 'known' })
    const link = `${server.url}/${ID}`
    const wrong = `#${(await newKey()).identity}`
    const cut = `#${sealed.identity.slice(0, 40)}`
    for (const [fragment, status, problem] of [
      ['', 2, 'key-required'],
      [wrong, 9, 'wrong-key'],
      [cut, 2, 'usage'],
    ] as const) {
      const ess = await runEss(undefined, ['get', link + fragment])
      const { code, stdout, stderr } = await ess.ended()
      expect([code, stdout.length]).toEqual([status, 0])
      expect(stderr).toContain(`[${problem}]`)
      expect(stderr).not.toMatch(/SECRET-KEY-1/)
    }
    expect(server.asked).toEqual(['HEAD', 'HEAD'])
  })
})

test('no change of any kind gets through', async () => {
  const small = await sealedBody(CHUNK + 50, { isSized: false })
  const change = fc.oneof(
    fc.record({ kind: fc.constant('flip' as const), at: fc.nat(small.body.length - 1), bit: fc.nat(7) }),
    fc.record({
      kind: fc.constant('cut' as const),
      at: fc.nat(small.body.length - 1),
      bytes: fc.integer({ min: 1, max: 200 }),
    }),
    fc.record({
      kind: fc.constant('put' as const),
      at: fc.nat(small.body.length),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 70 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(change, fc.constantFrom(...WAYS), async (change, way) => {
      const { at } = change
      const changed = Buffer.from(small.body)
      if (change.kind === 'flip') changed.writeUInt8(changed.readUInt8(at) ^ (1 << change.bit), at)
      const rest =
        change.kind === 'cut'
          ? of(changed.subarray(0, at), changed.subarray(at + change.bytes))
          : change.kind === 'put'
            ? of(changed.subarray(0, at), Buffer.from(change.bytes), changed.subarray(at))
            : changed
      fc.pre(!rest.equals(small.body))
      await expectFoundOut(small, { note: small.note, body: rest, framing: 'chunked' }, way)
    }),
    { numRuns: 60 },
  )
})

test.each(WAYS)('the note is not taken for the body, into a %s', async (way) => {
  const lie: Lie = { body: Buffer.from(sealed.note, 'base64url'), framing: 'known' }
  await expectFoundOut(sealed, lie, way)
})

test('with a key from the link, a name that is not sealed is not believed', async () => {
  const server = await lyingServer({ body, framing: 'known' })
  const folder = await tempDir()
  const { name } = await download(`${server.url}/${ID}#${sealed.identity}`, { to: { folder } })
  expect(name).toBe(`ess-${ID}`)
  expect(await readFile(join(folder, name))).toEqual(sealed.content)
})

test('the server gets neither the key nor a trace of it', async () => {
  const server = await lyingServer({ note: sealed.note, body, framing: 'known', cuts: [1000] })
  await receive(server.url, sealed.identity, 'file')
  expect(server.asked).toEqual(['HEAD', 'GET', 'GET 1000'])
  for (const head of server.heads) {
    expect(head).not.toMatch(/#|AGE-SECRET-KEY|referer/i)
    expect(head.toUpperCase()).not.toContain(sealed.identity.slice(20, 30))
  }
})

test.each([
  [`#${sealed.identity.slice(0, -1)}`, {}],
  [`#${sealed.identity.slice(0, 30)}`, {}],
  ['', { identities: ['AGE-SECRET-KEY-1QQ'] }],
  ['', { identities: [sealed.identity.replace(/.$/, (end) => (end === 'Q' ? 'P' : 'Q'))] }],
  ['', { identities: ['age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'] }],
])(
  'a key that is none or not whole is refused before any request, and not shown',
  async (fragment, options) => {
    const server = await lyingServer({ note: sealed.note, body, framing: 'known' })
    const { stream } = { stream: new Writable({ write: (_bytes, _encoding, done) => done() }) }
    for (const work of [
      () => download(`${server.url}/${ID}${fragment}`, { to: { stream }, ...options }),
      () => get(`${server.url}/${ID}${fragment}`, options),
    ]) {
      const error = await work().catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'usage', exitStatus: 2 })
      expect(String((error as EssError).stack)).not.toContain(sealed.identity.slice(17, 27))
    }
    expect(server.asked).toEqual([])
  },
)
