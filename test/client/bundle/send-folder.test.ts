import { writeFileSync } from 'node:fs'
import { get as httpGet, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { send } from '../../../client/index.js'
import type { StatusEvent } from '../../../shared/index.js'
import { unpacked } from '../../helpers/bundles.js'
import { bytesOf } from '../../helpers/bytes.js'
import { plant, snapshot, type Tree } from '../../helpers/planted.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

/** Some 7 MiB: small files, a large one, links, and names that need more than a header. */
function photos(): Tree {
  const small = Array.from({ length: 150 }, (_, at) => [`small ${at}`, { content: bytesOf(at * 30, at) }])
  return {
    names: {
      empty: { names: {} },
      large: { content: bytesOf(6 * 1024 * 1024 + 7), mtime: 1e9 },
      link: { link: 'small/small 5' },
      small: { names: Object.fromEntries(small), mode: 0o700 },
      ['ü'.repeat(120)]: { content: 'long' },
    },
    mtime: 1e9,
  }
}

async function planted(tree: Tree): Promise<string> {
  const path = join(await tempDir(), 'photos')
  plant(path, tree)
  return path
}

function started(sending: ReturnType<typeof send>) {
  const events: StatusEvent[] = []
  const over = (async () => {
    for await (const event of sending) events.push(event)
  })()
  over.catch(() => {}) // The test waits for the verdict.
  const opened = async () => {
    await until('the link is there', () => events.some(({ event }) => event === 'opened'))
    const found = events.find((event) => event.event === 'opened')
    return found?.url ?? ''
  }
  return { events, opened }
}

/** A GET as any program makes it. */
async function answerTo(url: string, from = 0): Promise<IncomingMessage> {
  const headers = from === 0 ? {} : { range: `bytes=${from}-` }
  return await new Promise((resolve, reject) => {
    httpGet(url, { headers, agent: false }, resolve).once('error', reject)
  })
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const blocks: Buffer[] = []
  for await (const block of answer as AsyncIterable<Buffer>) blocks.push(block)
  return Buffer.concat(blocks)
}

/** What comes before the connection is cut. */
async function beginningOf(answer: IncomingMessage): Promise<Buffer> {
  const blocks: Buffer[] = []
  answer.on('data', (block: Buffer) => blocks.push(block))
  await new Promise((resolve) => answer.once('error', resolve))
  return Buffer.concat(blocks)
}

test('a folder is one tar for any program, which says what it is', async () => {
  const server = await startServerHere()
  const path = await planted(photos())
  const sending = send(path, { server: server.url })
  const { opened } = started(sending)
  const answer = await answerTo(await opened())
  expect(answer.headers).toMatchObject({
    'content-type': 'application/x-tar',
    'content-disposition': expect.stringContaining('filename="photos.tar"'),
    'ess-bundle': 'tar;entries=156',
  })
  const bytes = await within(DEADLINE_MS, 'the download', bodyOf(answer))
  expect(bytes.length).toBe(Number(answer.headers['content-length']))
  expect(snapshot(join(await unpacked(bytes, 'GNU tar'), 'photos'))).toEqual(snapshot(path))
  expect(await sending.verdict).toMatchObject({ event: 'delivered', bytes: bytes.length })
})

test('several files and a folder have a name of yours, without what you leave out', async () => {
  const server = await startServerHere()
  const path = await planted({
    names: { a: { content: 'a' }, b: { names: { c: { content: 'c' }, 'd.tmp': { content: 'd' } } } },
  })
  const sending = send([join(path, 'a'), join(path, 'b')], {
    server: server.url,
    name: 'mine.tar',
    exclude: ['*.tmp'],
  })
  const { opened } = started(sending)
  const answer = await answerTo(await opened())
  expect(answer.headers['content-disposition']).toContain('filename="mine.tar"')
  expect(answer.headers['ess-bundle']).toBe('tar;entries=3')
  const copy = await unpacked(await bodyOf(answer), 'GNU tar')
  expect(snapshot(copy).map((line) => line.split(' ')[0])).toEqual(['"."', '"./a"', '"./b"', '"./b/c"'])
  await sending.verdict
})

test.each(['mine', 'mine.tar'])(
  'a folder that is sent as %s is a folder mine for the receiver',
  async (name) => {
    const server = await startServerHere()
    const path = await planted({
      names: {
        a: { content: 'a' },
        b: { names: { c: { content: 'c' }, 'd.tmp': { content: 'd' }, up: { link: '../a' } } },
      },
    })
    const sending = send(path, { server: server.url, name, exclude: ['/b/*.tmp'], gitignore: true })
    const { opened } = started(sending)
    const answer = await answerTo(await opened())
    expect(answer.headers['content-disposition']).toContain('filename="mine.tar"')
    const copy = await unpacked(await bodyOf(answer), 'GNU tar')
    expect(snapshot(copy).map((line) => line.split(' ')[0])).toEqual([
      ...['"."', '"./mine"', '"./mine/a"', '"./mine/b"', '"./mine/b/c"', '"./mine/b/up"'],
    ])
    await sending.verdict
  },
)

test('through a reservation it says the same before the upload begins', async () => {
  const server = await startServerHere('--reservations')
  const path = await planted(photos())
  const sending = send(path, { server: server.url, reserve: true })
  const { opened } = started(sending)
  const answer = await answerTo(await opened())
  expect(answer.headers['ess-bundle']).toBe('tar;entries=156')
  const bytes = await within(DEADLINE_MS, 'the download', bodyOf(answer))
  expect(snapshot(join(await unpacked(bytes, 'GNU tar'), 'photos'))).toEqual(snapshot(path))
  await sending.verdict
})

test('what can not be sent is told before any request', async () => {
  const path = await planted({ names: { out: { link: '/' } } })
  const sending = send(path, { server: 'http://127.0.0.1:9' })
  await expect(sending.verdict).rejects.toMatchObject({
    code: 'file-unreadable',
    message: expect.stringContaining('photos/out: it links to /, an absolute path'),
  })
})

test('a file that changes while the receiver reads ends the transfer for both', async () => {
  const server = await startServerHere()
  const path = await planted(photos())
  const sending = send(path, { server: server.url })
  const { opened } = started(sending)
  const answer = await answerTo(await opened())
  writeFileSync(join(path, 'small', 'small 149'), 'changed')
  const body = within(DEADLINE_MS, 'the download ends', bodyOf(answer))
  await expect(sending.verdict).rejects.toMatchObject({
    code: 'file-changed',
    message: expect.stringContaining('photos/small/small 149 changed after it was examined'),
  })
  await expect(body).rejects.toThrow('aborted')
})

describe('cut at any byte, it goes on there:', () => {
  // A head goes first.
  const place = fc.integer({ min: 5000, max: 6_500_000 })

  test('on the side of the receiver', async () => {
    const path = await planted(photos())
    const whole = snapshot(path)
    const server = await startServerHere('--resume-within', '20')
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    await fc.assert(
      fc.asyncProperty(place, place, async (...places) => {
        const sending = send(path, { server: server.url })
        const { opened } = started(sending)
        const url = (await opened()).replace(String(server.port), String(proxy.port))
        let bytes = Buffer.alloc(0)
        const next = () =>
          until('the server takes the receiver', async () => {
            const answer = await answerTo(url, bytes.length)
            if (answer.statusCode === (bytes.length === 0 ? 200 : 206)) return answer
            answer.resume()
            return undefined
          })
        for (const end of places) {
          if (end < bytes.length + 5000) continue
          const struck = proxy.arm({ kind: 'rst' }, 'down', end - bytes.length)
          const more = within(DEADLINE_MS, 'the connection ends', beginningOf(await next()))
          await within(DEADLINE_MS, 'the cut', struck)
          bytes = Buffer.concat([bytes, await more])
        }
        bytes = Buffer.concat([bytes, await within(DEADLINE_MS, 'the rest', bodyOf(await next()))])
        expect(snapshot(join(await unpacked(bytes, 'GNU tar'), 'photos'))).toEqual(whole)
        expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({
          bytes: bytes.length,
        })
      }),
      { numRuns: 4 },
    )
  })

  test('on the side of the sender', async () => {
    const path = await planted(photos())
    const whole = snapshot(path)
    const server = await startServerHere('--resume-within', '20')
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    await fc.assert(
      fc.asyncProperty(place, async (end) => {
        const sending = send(path, { server: `http://127.0.0.1:${proxy.port}` })
        const { opened, events } = started(sending)
        const url = (await opened()).replace(String(proxy.port), String(server.port))
        const struck = proxy.arm({ kind: 'rst' }, 'up', end)
        const bytes = await within(DEADLINE_MS, 'the download', bodyOf(await answerTo(url)))
        await within(DEADLINE_MS, 'the cut', struck)
        expect(snapshot(join(await unpacked(bytes, 'GNU tar'), 'photos'))).toEqual(whole)
        expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({
          bytes: bytes.length,
        })
        expect(events.map(({ event }) => event)).toContain('resumed')
      }),
      { numRuns: 4 },
    )
  })
})
