import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Download, get } from '../../../client/index.js'
import { EssError } from '../../../shared/index.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { acceptGet, chunk, ID, LAST_CHUNK, openDownload, problem } from '../../helpers/client-wire.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

async function textOf(stream: Download): Promise<string> {
  let text = ''
  for await (const piece of stream) text += String(piece)
  return text
}

/** The failure that reading to the end meets. */
async function failure(reading: Promise<unknown>): Promise<EssError> {
  const error = await within(
    DEADLINE_MS,
    'the reading fails',
    reading.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  if (error instanceof EssError) return error
  throw new Error(`Expected an EssError, got ${error}`)
}

test('a download is a stream that says what it is', async () => {
  const server = await rawServer()
  const asked = get(ID, { server: server.url, wait: 7 })
  const connection = await openDownload(server, 'Content-Length: 5', 'Content-Type: text/plain')
  expect(connection.text()).toMatch(new RegExp(`^GET /${ID}\\?wait=7 HTTP/1\\.1\\r\\n`))
  const stream = await asked
  expect(stream).toMatchObject({ id: ID, name: 'file.txt', size: 5, type: 'text/plain' })
  connection.end('hello')
  expect(await textOf(stream)).toBe('hello')
  expect(await connection.ending()).toBe('fin')
})

test('the chunked form has no size, and an empty file is a file', async () => {
  const server = await rawServer()
  const chunked = get(ID, { server: server.url })
  const connection = await openDownload(server, 'Transfer-Encoding: chunked')
  connection.end(chunk('hel') + chunk('lo') + LAST_CHUNK)
  const stream = await chunked
  expect(stream.size).toBeUndefined()
  expect(stream.type).toBe('application/octet-stream')
  expect(await textOf(stream)).toBe('hello')
  expect(await connection.ending()).toBe('fin')
  const empty = get(ID, { server: server.url })
  const other = await openDownload(server, 'Content-Length: 0')
  other.end()
  expect(await textOf(await empty)).toBe('')
  expect(await other.ending()).toBe('fin')
})

test('no FIN before the last byte was read, however long that takes', async () => {
  const server = await rawServer()
  const asked = get(ID, { server: server.url })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  const stream = await asked
  // Nothing announces what does not happen; a FIN that came too early is here well within this.
  await delay(200)
  expect(connection.ended()).toBeUndefined()
  expect(await textOf(stream)).toBe('hello')
  expect(await connection.ending()).toBe('fin')
})

test('the reader decides the pace', async () => {
  const server = await rawServer()
  const size = 64 * 1024 * 1024
  const asked = get(ID, { server: server.url })
  const connection = await openDownload(server, `Content-Length: ${size}`)
  connection.write(new Uint8Array(size))
  const stream = await asked
  const reader = stream[Symbol.asyncIterator]()
  await within(DEADLINE_MS, 'the first piece', reader.next())
  await delay(200)
  expect(stream.readableLength).toBeLessThan(1024 * 1024)
  let bytes = 0
  while (bytes < 8 * 1024 * 1024) {
    const { value } = await within(DEADLINE_MS, 'the next piece', reader.next())
    bytes += (value as Buffer).length // Without an encoding set, pieces are buffers.
  }
  stream.destroy()
  expect(await connection.ending()).toBe('rst')
})

for (const [name, bytes] of [
  ['midway', 'hel'],
  ['with every byte here, but not read', 'hello'],
] as const)
  test(`a stream that is destroyed ${name} resets the connection`, async () => {
    const server = await rawServer()
    const asked = get(ID, { server: server.url })
    const connection = await openDownload(server, 'Content-Length: 5')
    connection.write(bytes)
    const stream = await asked
    await within(DEADLINE_MS, 'bytes', new Promise((resolve) => stream.once('readable', resolve)))
    stream.destroy()
    expect(await connection.ending()).toBe('rst')
  })

test('a reader that leaves its loop resets the connection', async () => {
  const server = await rawServer()
  const asked = get(ID, { server: server.url })
  const connection = await openDownload(server, 'Content-Length: 9')
  connection.write('hello')
  for await (const _piece of await asked) break
  expect(await connection.ending()).toBe('rst')
})

const BROKEN = {
  'short, then FIN': { header: 'Content-Length: 9', body: 'hello', isReset: false },
  'short, then RST': { header: 'Content-Length: 9', body: 'hello', isReset: true },
  'chunked without a last chunk': {
    header: 'Transfer-Encoding: chunked',
    body: chunk('hello'),
    isReset: false,
  },
  'over-long': { header: 'Content-Length: 3', body: 'hello', isReset: false },
} as const

for (const [name, { header, body, isReset }] of Object.entries(BROKEN))
  test(`a download that is not whole never ends well, and the server sees no FIN: ${name}`, async () => {
    const server = await rawServer()
    const asked = get(ID, { server: server.url })
    const connection = await openDownload(server, header)
    connection.write(body)
    const stream = await asked
    const reading = failure(textOf(stream))
    if (isReset) connection.reset()
    else connection.end()
    expect(await reading).toMatchObject({ code: 'incomplete', exitStatus: 5 })
    expect(await connection.ending()).toBe('rst')
  })

test('a cut reaches a stream that is not being read', async () => {
  const server = await rawServer()
  const asked = get(ID, { server: server.url })
  const connection = await openDownload(server, 'Content-Length: 9')
  const stream = await asked
  const cut = within(DEADLINE_MS, 'the error', new Promise((resolve) => stream.once('error', resolve)))
  connection.reset()
  expect(await cut).toMatchObject({ code: 'incomplete' })
})

for (const bytes of ['hel', 'hello'])
  test(`an interruption after "${bytes}" of 5 bytes fails the stream and resets the connection`, async () => {
    const server = await rawServer()
    const interrupt = new AbortController()
    const asked = get(ID, { server: server.url, signal: interrupt.signal })
    const connection = await openDownload(server, 'Content-Length: 5')
    connection.write(bytes)
    const stream = await asked
    await within(DEADLINE_MS, 'bytes', new Promise((resolve) => stream.once('readable', resolve)))
    interrupt.abort()
    expect(await failure(textOf(stream))).toMatchObject({ code: 'interrupted' })
    expect(await connection.ending()).toBe('rst')
  })

test('an interruption before the head, and one that came first', async () => {
  const server = await rawServer()
  const interrupt = new AbortController()
  const asked = failure(get(ID, { server: server.url, signal: interrupt.signal }))
  const connection = await server.accept()
  await connection.until(/\r\n\r\n/)
  interrupt.abort()
  expect((await asked).code).toBe('interrupted')
  expect(await connection.ending()).toBe('rst')
  expect((await failure(get(ID, { server: server.url, signal: AbortSignal.abort() }))).code).toBe(
    'interrupted',
  )
})

test('a refusal, a stranger and a typing error reject', async () => {
  const server = await rawServer()
  const refused = failure(get(ID, { server: server.url }))
  const connection = await acceptGet(server)
  connection.end(problem(410, 'gone', 'used'))
  expect(await refused).toMatchObject({ code: 'gone', message: 'used' })
  const stranger = failure(get(ID, { server: server.url }))
  const other = await acceptGet(server)
  other.end('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>')
  expect((await stranger).code).toBe('not-ess')
  expect((await failure(get('short', { server: server.url }))).code).toBe('usage')
})
