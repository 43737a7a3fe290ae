import { describe, expect, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import {
  bodyOf,
  chunk,
  expectSenderFailed,
  LAST_CHUNK,
  openReceiver,
  type Served,
  serve,
  untilEnded,
} from './serve.js'

/** As curl writes them: many dashes in front. */
const BOUNDARY = '------------------------0123456789abcdef'

interface Part {
  readonly name?: string
  readonly fileName?: string
  readonly type?: string
  readonly body: string
  /** Further header lines, each with its end. */
  readonly headers?: string
}

function partHead({ name = 'file', fileName, type, headers = '' }: Part): string {
  const file = fileName === undefined ? '' : `; filename="${fileName}"`
  const contentType = type === undefined ? '' : `Content-Type: ${type}\r\n`
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n${contentType}${headers}\r\n`
}

const partOf = (part: Part) => `${partHead(part)}${part.body}\r\n`
const CLOSING = `--${BOUNDARY}--\r\n`
const formOf = (...parts: readonly Part[]) => parts.map(partOf).join('') + CLOSING

/** More than a stream of Node's takes at once, on Node 20. */
const LONG = 'b'.repeat(40_000)
const FILE: Part = { fileName: 'a b.csv', type: 'text/csv', body: 'hello' }

/** The head of a form's request. */
function formHead(
  length: number | undefined,
  contentType = `multipart/form-data; boundary=${BOUNDARY}`,
): string {
  return requestHead('POST /', {
    Accept: 'application/x-ndjson',
    'Content-Type': contentType,
    ...(length === undefined ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(length) }),
  })
}

/** Sends what is given, and waits for the URL. */
async function sendForm(
  port: number,
  head: string,
  ...pieces: readonly string[]
): Promise<RawPeer & { id: string }> {
  const peer = await connectRaw(port)
  await peer.write(head)
  for (const piece of pieces) await peer.write(piece)
  const [, id = ''] = await peer.until(/"opened","v":1,"id":"([^"]+)"/)
  return { ...peer, id }
}

/** Receives it, and expects it to be delivered. */
async function receive(served: Served, sender: RawPeer & { id: string }) {
  const receiver = await openReceiver(served.port, `/${sender.id}`)
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  await sender.until(/"event":"delivered"/)
  return parseAnswer(receiver.text())
}

/** Reads the answer of a form that is refused. */
async function refusal(port: number, head: string, body: string) {
  const peer = await connectRaw(port)
  await peer.write(head + body)
  await peer.ending()
  return parseAnswer(peer.text())
}

describe('a form', () => {
  test('gives its file with its own name, type and exact length', async () => {
    const served = await serve()
    const form = formOf({ name: 'note', body: 'a field before it' }, FILE)
    const sender = await sendForm(served.port, formHead(form.length), form)
    expect(await receive(served, sender)).toMatchObject({
      status: 200,
      body: 'hello',
      headers: {
        'content-length': '5',
        'content-type': 'text/csv',
        'content-disposition': 'attachment; filename="a b.csv"',
      },
    })
    expect(served.opened).toMatchObject([{ fileName: 'a b.csv', contentLength: 5 }])
  })

  test('may be cut anywhere on its way', { timeout: 120_000 }, async () => {
    const served = await serve()
    const form = formOf({ name: 'note', body: 'x' }, FILE)
    const end = form.indexOf('hello') + 'hello'.length
    for (let at = 1; at <= end; at++) {
      const sender = await sendForm(served.port, formHead(form.length), form.slice(0, at), form.slice(at))
      const { headers, body } = await receive(served, sender)
      expect({ at, body, length: headers['content-length'] }).toEqual({ at, body: 'hello', length: '5' })
    }
  })

  test('may come a byte at a time', async () => {
    const served = await serve()
    const form = formOf(FILE)
    const sender = await sendForm(served.port, formHead(form.length), ...form)
    expect(await receive(served, sender)).toMatchObject({ body: 'hello', headers: { 'content-length': '5' } })
  })

  test.each([
    ['nothing', ''],
    ['one byte', 'x'],
    ['an empty line first', '\r\n\r\nhello'],
    ['two empty lines first', '\r\n\r\n\r\n\r\nhello'],
    ['line ends alone', '\r\n'],
    ['dashes first', '--hello'],
    ['dashes alone', '--'],
    ['a line of dashes', '\r\n--\r\n--'],
    ['what is almost the boundary', `\r\n--${BOUNDARY.slice(0, -1)}\r\n\r\n`],
    ['a part of the boundary at its end', `hello\r\n--${BOUNDARY.slice(0, 10)}`],
    ['a boundary that begins no line', `hello--${BOUNDARY}--`],
    ['many bytes', bytesOf(300_000).toString('latin1')],
  ])('gives a file of %s as it is', async (_what, body) => {
    const served = await serve()
    const form = formOf({ ...FILE, body })
    const sender = await sendForm(served.port, formHead(form.length), form)
    const answer = await receive(served, sender)
    expect(answer.headers['content-length']).toBe(String(body.length))
    expect(answer.body === body).toBe(true)
  })

  test('in chunks has no length that anybody could know', async () => {
    const served = await serve()
    const form = formOf(FILE)
    const chunks = [form.slice(0, 50), form.slice(50)].map(chunk).join('') + LAST_CHUNK
    const sender = await sendForm(served.port, formHead(undefined), chunks)
    const { headers, body } = await receive(served, sender)
    expect([body, headers['content-length']]).toEqual(['hello', undefined])
  })

  test.each([
    ['nothing behind its last boundary', ''],
    ['an epilogue', '\r\nand more'],
  ])('in chunks may have %s, since nothing was foretold', async (_what, behind) => {
    const served = await serve()
    const chunks = chunk(formOf(FILE).slice(0, -2) + behind) + LAST_CHUNK
    const sender = await sendForm(served.port, formHead(undefined), chunks)
    expect((await receive(served, sender)).body).toBe('hello')
  })

  test('may have its boundary in quotes, and a name with what a browser escapes', async () => {
    const served = await serve()
    const form = formOf({ ...FILE, fileName: '%22é%22.txt' })
    const bytes = Buffer.from(form).toString('latin1')
    const head = formHead(bytes.length, `Multipart/Form-Data; charset=utf-8; boundary="${BOUNDARY}"`)
    const sender = await sendForm(served.port, head, bytes)
    await receive(served, sender)
    expect(served.opened.at(0)?.fileName).toBe('"é".txt')
  })
})

describe('a form is refused', () => {
  test.each([
    ['in another parameter', `multipart/form-data; x="; boundary=${BOUNDARY}"`],
    ['that is too long', `multipart/form-data; boundary=${'b'.repeat(71)}`],
    ['as long as a head may be', `multipart/form-data; boundary=${'b'.repeat(15_000)}`],
    ['with what no boundary is made of', 'multipart/form-data; boundary="a\\b"'],
  ])('whose boundary is one %s', async (_what, contentType) => {
    const served = await serve()
    const form = formOf(FILE)
    const answer = await refusal(served.port, formHead(form.length, contentType), form)
    expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(/^bad-request: .* no boundary/) })
  })

  test('only if it is one: a type that begins like a form’s is a file', async () => {
    const served = await serve()
    const form = formOf(FILE)
    const sender = await sendForm(
      served.port,
      formHead(form.length, `multipart/form-data-x; boundary=${BOUNDARY}`),
      form,
    )
    const receiver = await openReceiver(served.port, `/${sender.id}`)
    await receiver.ending()
    expect(bodyOf(receiver)).toBe(form)
  })

  test.each([
    ['without a file', formOf({ name: 'a', body: 'b' }), 'no-file-in-form'],
    ['whose one part has no name', `--${BOUNDARY}\r\nA: b\r\n\r\n${LONG}\r\n${CLOSING}`, 'no-file-in-form'],
    ['without anything', CLOSING, 'no-file-in-form'],
    ['that is none', 'hello', 'bad-request'],
    [
      'with a head that is too long',
      formOf({ ...FILE, headers: `X: ${'x'.repeat(70_000)}\r\n` }),
      'bad-request',
    ],
    [
      'with too many fields',
      formOf(...Array.from({ length: 65 }, () => ({ name: 'a', body: 'b' })), FILE),
      'bad-request',
    ],
  ])('%s', async (_what, form, code) => {
    const served = await serve()
    const answer = await refusal(served.port, formHead(form.length), form)
    expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(new RegExp(`^${code}: `)) })
    expect(served.opened).toEqual([])
    expect(served.refused).toEqual([code])
  })

  test('whose file is too large, by the file and not by the form', async () => {
    const { port } = await serve({ maxUploadBytes: 5 })
    const good = formOf(FILE)
    await sendForm(port, formHead(good.length), good)
    const bad = formOf({ ...FILE, body: 'hello!' })
    expect(await refusal(port, formHead(bad.length), bad)).toMatchObject({
      status: 413,
      body: 'too-large: Expected at most 5 bytes, got 6\n',
    })
  })

  test('whose sender leaves before the file leaves nothing behind', async () => {
    const served = await serve()
    const peer = await connectRaw(served.port)
    await peer.write(`${formHead(1000)}--${BOUNDARY}\r\n`)
    peer.reset()
    // It is told to the log, though nobody reads the answer.
    await expect.poll(() => served.refused, { timeout: 15_000 }).toEqual(['sender-lost'])
    expect(served.service.counts().sockets).toBe(0)
  })
})

describe('a form that goes wrong behind its file', () => {
  test.each([
    ['a second file', `\r\n${formOf(FILE)}`, 'no-file-in-form'],
    ['a field', `\r\n${formOf({ name: 'late', body: 'x' })}`, 'bad-request'],
    ['less than its length foretold, an epilogue', `\r\n${CLOSING}and more`, 'sender-lost'],
    ['a long part without a name', `\r\n--${BOUNDARY}\r\nA: b\r\n\r\n${LONG}\r\n${CLOSING}`, 'sender-lost'],
    ['no end at all', 'x'.repeat(100), 'bad-request'],
  ])('with %s never looks whole', async (_what, rest, code) => {
    const served = await serve()
    const start = `${partHead(FILE)}hello`
    const sender = await sendForm(served.port, formHead(start.length + rest.length), start)
    const receiver = await openReceiver(served.port, `/${sender.id}`)
    await receiver.until(/hello/)
    await sender.write(rest)
    expect(await receiver.ending()).toBe('rst')
    await expectSenderFailed(sender, code)
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual([code])
  })

  test.each([
    ['a second file', formOf(FILE, FILE), 'no-file-in-form'],
    ['a field', formOf(FILE, { name: 'late', body: 'x' }), 'bad-request'],
    ['no end at all', `${partHead(FILE)}${'x'.repeat(100)}`, 'bad-request'],
  ])('with %s is told of at once, whether or not anybody receives it', async (_what, form, code) => {
    const served = await serve()
    const sender = await sendForm(served.port, formHead(form.length), form)
    await expectSenderFailed(sender, code)
    const answer = await exchange(served.port, requestHead(`GET /${sender.id}`))
    expect(answer.status).toBe(410)
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual([code])
  })

  test('without its last line end, which its length had foretold, never looks whole', async () => {
    const served = await serve()
    const form = formOf(FILE).slice(0, -2)
    // The first piece is as long as the file would be.
    const at = form.indexOf('hello') + 3
    const sender = await sendForm(served.port, formHead(form.length), form.slice(0, at))
    const receiver = await openReceiver(served.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write(form.slice(at))
    await expectSenderFailed(sender, 'bad-request', /a file of more than the 3 bytes/)
    const ending = await receiver.ending()
    expect([ending, receiver.text()]).not.toEqual(['fin', expect.stringMatching(/^HTTP\/1\.1 200 /)])
    expect(bodyOf(receiver)).not.toBe('hel')
  })

  test.each([
    ['in the middle of the file', 'hel'],
    ['before the last boundary', 'hello\r\n'],
    ['in the middle of the last boundary', `hello\r\n--${BOUNDARY}`],
  ])('by being cut %s never looks whole', async (_where, body) => {
    const served = await serve()
    const start = partHead(FILE) + body
    const sender = await sendForm(served.port, formHead(formOf(FILE).length), start)
    const receiver = await openReceiver(served.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    sender.reset()
    await receiver.ending()
    // Nothing of it may have been handed on yet, and then there is a problem to read. Otherwise it is short: how
    // it ended tells nothing, because libuv takes a reset that comes with the last bytes for an end in good order.
    const isProblem = receiver.text().startsWith('HTTP/1.1 502 ')
    if (!isProblem) expect(receiver.text()).toMatch(/^HTTP\/1\.1 200 .*\r\nContent-Length: 5\r\n/s)
    expect(bodyOf(receiver)).not.toMatch(/^hello/)
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual(['sender-lost'])
  })
})
