import { describe, expect, test } from 'vitest'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { chunk, LAST_CHUNK, openReceiver, serve, untilEnded } from './serve.js'

const GEARS = ['streams', 'sockets', 'splice'] as const

/** How the request of the last piece is framed, whatever frames the receiver's response. */
const FRAMINGS = {
  'with a length': (bytes: Buffer) => ({
    fields: { 'Content-Length': String(bytes.length) },
    body: bytes.toString('latin1'),
  }),
  'in one chunk': (bytes: Buffer) => ({
    fields: { 'Transfer-Encoding': 'chunked' },
    body: chunk(bytes.toString('latin1')) + LAST_CHUNK,
  }),
  'in chunks of 1,000 bytes': (bytes: Buffer) => ({
    fields: { 'Transfer-Encoding': 'chunked' },
    body: parts(bytes).map(chunk).join('') + LAST_CHUNK,
  }),
} as const

/** A file whose last piece looks like a chunk, so that one who takes it for that has other bytes, and a clean end. */
const lastOf = (length: number) => {
  const inside = Buffer.alloc(length, 'inside ')
  return Buffer.concat([Buffer.from(`${length.toString(16)}\r\n`), inside, Buffer.from('\r\n')])
}

const FIRST = Buffer.alloc(1000, 'first ')

describe.each(GEARS)('by %s, the last piece of a file', (relay) => {
  describe.each([
    ['whose length was said', true],
    ['whose length was not said', false],
  ])('%s', (_how, isSaid) => {
    describe.each(Object.entries(FRAMINGS))('comes %s', (_framing, framed) => {
      test.each([
        [900, true],
        [900, false],
        [30_000, true],
        [1_500_000, true],
        [1_500_000, false],
      ])(
        'and has %i bytes more; the receiver was there before the first one: %s',
        async (length, isThere) => {
          const served = await serve({ relay, reservations: true })
          const last = lastOf(length)
          const file = Buffer.concat([FIRST, last])
          const { path, upload } = await reserve(served.port, {
            'Upload-Complete': '?0',
            ...(isSaid && { 'Upload-Length': String(file.length) }),
          })
          const waiting = isThere ? await openReceiver(served.port, path) : undefined
          const begun = exchange(
            served.port,
            requestHead(`PATCH ${upload}`, {
              ...PIECE,
              'Content-Length': String(FIRST.length),
              'Upload-Offset': '0',
              'Upload-Complete': '?0',
            }) + FIRST.toString('latin1'),
          )
          const receiver = waiting ?? (await openReceiver(served.port, path))
          expect((await begun).status).toBe(204)
          const { fields, body } = framed(last)
          const sender = await connectRaw(served.port)
          await sender.write(
            requestHead(`PATCH ${upload}`, {
              ...PIECE,
              ...fields,
              'Upload-Offset': String(FIRST.length),
              'Upload-Complete': '?1',
              // What comes together with its head is Node's to read, if it is chunked.
              Expect: '100-continue',
            }),
          )
          await sender.until(/^HTTP\/1\.1 100 /)
          await sender.write(body)
          expect(await receiver.ending()).toBe('fin')
          receiver.end()
          const got = parseAnswer(receiver.text())
          expect(got.status).toBe(200)
          expect(Buffer.from(got.body, 'latin1').equals(file)).toBe(true)
          await sender.until(/^HTTP\/1\.1 200 [\s\S]*delivered/m)
          expect(await untilEnded(served)).toMatchObject([
            { outcome: 'delivered', confirmed: true, bytes: file.length },
          ])
        },
      )
    })
  })
})

const PIECE = { 'Content-Type': 'application/partial-upload' }

async function reserve(port: number, fields: Readonly<Record<string, string>>) {
  const answer = await exchange(port, requestHead('POST /reserve', { ...fields, Accept: 'application/json' }))
  expect(answer.status, answer.body).toBe(201)
  // The test of reservations looks at its form.
  const { url, upload } = JSON.parse(answer.body) as { url: string; upload: string }
  return { path: new URL(url).pathname, upload: new URL(upload).pathname }
}

function parts(bytes: Buffer): string[] {
  const all: string[] = []
  for (let at = 0; at < bytes.length; at += 1000) all.push(bytes.toString('latin1', at, at + 1000))
  return all
}
