import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { download, type Sending, send } from '../client/index.js'
import { PIECE_BYTES } from '../client/send/pieces.js'
import { rawServer } from './helpers/client-raw-server.js'
import { chunk, problem, tell } from './helpers/client-wire.js'
import { exchange, parseAnswer } from './helpers/http-exchange.js'
import { connectRaw, type RawPeer } from './helpers/raw-peer.js'
import { tempDir } from './helpers/temp-dir.js'
import { DEADLINE_MS, within } from './helpers/within.js'
import { eventsOf, serve } from './server/serve.js'

/*
 * Version 0.1.0 can't go on after a cut. The requests of its client and the answers of its server are written here as it
 * writes them.
 */

const USER_AGENT = 'user-agent: ess/0.1.0'
const SEND = [
  USER_AGENT,
  'accept: application/x-ndjson, application/problem+json;q=0.9',
  'expect: 100-continue',
  'content-type: application/octet-stream',
  'content-disposition: attachment; filename="small"',
  'content-length: 5',
  'Host: localhost',
  'Connection: keep-alive',
]
const PUT = SEND.map((line) => line.replace('application/x-ndjson', 'application/json'))
const GET = [
  USER_AGENT,
  'accept: */*, application/problem+json;q=0.9',
  'te: trailers',
  'Host: localhost',
  'Connection: close',
]
const FOLLOW = [
  USER_AGENT,
  'accept: application/x-ndjson, application/problem+json;q=0.9',
  'Host: localhost',
  'Connection: close',
]
const SHORT = [
  USER_AGENT,
  'accept: application/json, application/problem+json;q=0.9',
  'content-length: 0',
  'Host: localhost',
  'Connection: close',
]

const headOf = (line: string, fields: readonly string[]) =>
  `${[`${line} HTTP/1.1`, ...fields].join('\r\n')}\r\n\r\n`

async function ask(port: number, line: string, fields: readonly string[]): Promise<RawPeer> {
  const peer = await connectRaw(port)
  await peer.write(headOf(line, fields))
  return peer
}

const kindsIn = (peer: RawPeer) => eventsOf(peer).map(({ event }) => event)

describe('the client of 0.1.0 with this server', () => {
  async function sending() {
    const served = await serve({ reservations: true, resumeWithin: 20 })
    const sender = await ask(served.port, 'POST /', SEND)
    const [, id = ''] = await sender.until(/^HTTP\/1\.1 100 Continue[\s\S]*201 Created[\s\S]*"id":"([^"]+)"/)
    return { ...served, sender, id }
  }

  test('sends and receives as before', async () => {
    const { port, sender, id, ends } = await sending()
    const receiver = await ask(port, `GET /${id}/small`, GET)
    await sender.until(/"connected"/)
    await sender.write('hello')
    await receiver.ending()
    receiver.end()
    await sender.until(/"delivered"/)
    expect(kindsIn(sender)).toEqual(['opened', 'connected', 'progress', 'delivered'])
    expect(sender.text()).not.toMatch(/resumeWithin/)
    const { status, headers, body } = parseAnswer(receiver.text())
    expect({ status, body }).toEqual({ status: 200, body: 'hello' })
    expect(headers).toMatchObject({ 'accept-ranges': 'none', etag: `"${id}"` })
    expect(Object.keys(headers).filter((name) => name.startsWith('ess-'))).toEqual([])
    expect(ends).toMatchObject([{ outcome: 'delivered', bytes: 5, confirmed: true }])
  })

  test.each(['sender', 'receiver'] as const)('is told at once of a %s that is cut', async (cut) => {
    const { port, sender, id, ends } = await sending()
    const receiver = await ask(port, `GET /${id}/small`, GET)
    await sender.until(/"connected"/)
    await sender.write('he')
    await receiver.until(/he$/)
    const [gone, other] = cut === 'sender' ? [sender, receiver] : [receiver, sender]
    gone.reset()
    if (cut === 'sender') expect(await other.ending()).toBe('rst')
    else await other.until(/"failed".*urn:ess:problem:receiver-lost/)
    expect(ends).toMatchObject([{ outcome: `${cut}-lost` }])
  })

  test('reserves, follows and uploads as before', async () => {
    const { port, ends } = await serve({ reservations: true, resumeWithin: 20 })
    const reserved = await exchange(port, headOf('POST /reserve?filename=small', SHORT))
    const { id, url, upload, events } = JSON.parse(reserved.body) as Record<string, string>
    expect(Object.keys(JSON.parse(reserved.body) as object)).toEqual([
      'id',
      'url',
      'upload',
      'events',
      'expires',
    ])
    expect({ status: reserved.status, location: reserved.headers['location'] }).toEqual({
      status: 201,
      location: url,
    })
    const follower = await ask(port, `GET ${new URL(events ?? '').pathname}`, FOLLOW)
    await follower.until(/"reserved"/)
    const sender = await ask(port, `PUT ${new URL(upload ?? '').pathname}`, PUT)
    await sender.until(/100 Continue/)
    await follower.until(/"waiting"/)
    const receiver = await ask(port, `GET /${id}/small`, GET)
    await follower.until(/"connected"/)
    await sender.write('hello')
    await receiver.ending()
    receiver.end()
    await sender.until(/200 OK[\s\S]*\{"event":"delivered","bytes":5,"confirmed":true\}\n$/)
    expect(sender.text()).not.toMatch(/^Upload-/m)
    await follower.until(/"delivered"/)
    expect(kindsIn(follower)).toEqual(['opened', 'reserved', 'waiting', 'connected', 'progress', 'delivered'])
    expect(ends).toMatchObject([{ outcome: 'delivered', bytes: 5 }])
  })

  test('takes its reservation back', async () => {
    const { port, ends } = await serve({ reservations: true, resumeWithin: 20 })
    const reserved = await exchange(port, headOf('POST /reserve', SHORT))
    const { upload = '' } = JSON.parse(reserved.body) as Record<string, string>
    const answer = await exchange(port, headOf(`DELETE ${new URL(upload).pathname}`, SHORT))
    expect(answer.status).toBe(204)
    expect(ends).toMatchObject([{ outcome: 'cancelled' }])
  })
})

describe('this client with a server of 0.1.0', () => {
  const ID = 'AbCdEfGhIjKl'
  const TOKEN = 'tttttttttttttttttttttt'
  const ANSWER = [
    'Cache-Control: no-store, no-transform',
    'X-Accel-Buffering: no',
    'X-Content-Type-Options: nosniff',
  ]
  const STATUS = [...ANSWER, 'Content-Type: application/x-ndjson', 'Transfer-Encoding: chunked']
  const openedAt = (url: string) => ({
    event: 'opened',
    v: 1,
    id: ID,
    url: `${url}/${ID}`,
    upload: `${url}/uploads/${TOKEN}`,
    ttl: 600,
    expires: '2030-01-01T00:00:00Z',
    maxUploadBytes: 0,
  })
  const answerHead = (status: string, fields: readonly string[]) =>
    `HTTP/1.1 ${status}\r\n${fields.join('\r\n')}\r\n\r\n`

  const codeOf = async (sending: Sending | Promise<unknown>) => {
    const settled = 'verdict' in sending ? sending.verdict : sending
    const error = await within(
      DEADLINE_MS,
      'it fails',
      settled.then(
        () => undefined,
        (reason: EssError) => reason,
      ),
    )
    return error?.code
  }
  type EssError = { readonly code: string }

  async function fileOf(bytes: number): Promise<string> {
    const path = join(await tempDir(), 'small')
    await writeFile(path, randomBytes(bytes))
    return path
  }

  test('fails at once when it is cut, and asks for nothing that is not there', async () => {
    const server = await rawServer()
    const sending = send(await fileOf(5), { server: server.url })
    const connection = await server.accept()
    await connection.until(/\r\n\r\n/)
    connection.write(`HTTP/1.1 100 Continue\r\n\r\n${answerHead('201 Created', STATUS)}`)
    tell(connection, openedAt(server.url))
    tell(connection, { event: 'connected' })
    tell(connection, { event: 'progress', bytes: 0, total: 5 })
    await connection.until(/\r\n\r\n[\s\S]{5}$/)
    connection.reset()
    expect(await codeOf(sending)).toBe('connection-lost')
    expect(server.connections()).toBe(1)
  })

  test('sends a large file to a reservation by one PUT, because that takes no pieces', async () => {
    const server = await rawServer()
    const size = PIECE_BYTES + 1
    const sending = send(await fileOf(size), { server: server.url, reserve: true })
    const asked = await server.accept()
    await asked.until(/^POST \/reserve/)
    const upload = `${server.url}/uploads/${TOKEN}`
    const reservation = JSON.stringify({
      id: ID,
      url: `${server.url}/${ID}`,
      upload,
      events: `${upload}/events`,
      expires: '2030-01-01T00:00:00Z',
    })
    const fields = [
      'content-type: application/json',
      `content-length: ${reservation.length}`,
      'Connection: close',
    ]
    asked.end(answerHead('201 Created', fields) + reservation)
    const follow = async () => {
      const events = await server.accept()
      await events.until(new RegExp(`^GET /uploads/${TOKEN}/events `))
      events.write(answerHead('200 OK', STATUS))
      tell(events, openedAt(server.url))
      tell(events, { event: 'reserved', secondsLeft: 600 })
      return events
    }
    await follow()
    const patch = await server.accept()
    await patch.until(/^PATCH [\s\S]*\r\n\r\n$/)
    patch.end(
      problem(
        405,
        'method-not-allowed',
        'This address does not take PATCH. It takes PUT, POST, DELETE, OPTIONS.',
      ),
    )
    const events = await follow()
    const put = await server.accept()
    await put.until(
      new RegExp(`^PUT /uploads/${TOKEN} [\\s\\S]*content-length: ${size}\r\n[\\s\\S]*\r\n\r\n$`),
    )
    tell(events, { event: 'waiting', secondsLeft: 600 })
    // To read it all as text would take seconds.
    tell(events, {
      event: 'failed',
      problem: { type: 'urn:ess:problem:expired', title: 'The link expired' },
      bytes: 0,
    })
    expect(await codeOf(sending)).toBe('expired')
    expect(server.connections()).toBe(5)
  })

  test.each(['known', 'unknown'])('a download of %s length that is cut fails at once', async (length) => {
    const server = await rawServer()
    const to = join(await tempDir(), 'copy')
    const receiving = download(`${server.url}/${ID}`, { to: { file: to } })
    receiving.catch(() => {})
    let connection = await server.accept()
    // It asks for the size where it can't be told otherwise.
    const [, method] = await connection.until(/^(\w+) [\s\S]*\r\n\r\n/)
    const fields = [
      ...ANSWER,
      'Content-Type: application/octet-stream',
      'Content-Disposition: attachment; filename="small"',
      `ETag: "${ID}"`,
      'Accept-Ranges: none',
      'Connection: close',
      length === 'known' ? 'Content-Length: 5' : 'Transfer-Encoding: chunked',
    ]
    if (method === 'HEAD') {
      connection.end(answerHead('200 OK', fields))
      connection = await server.accept()
    }
    const asked = server.connections()
    connection.write(answerHead('200 OK', fields) + (length === 'known' ? 'he' : chunk('he')))
    await expect.poll(() => connection.ended() ?? connection.text().length).toBeGreaterThan(0)
    connection.reset()
    expect(['incomplete', 'connection-lost']).toContain(await codeOf(receiving))
    expect(server.connections()).toBe(asked)
  })
})
