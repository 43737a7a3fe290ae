import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type LogFormat, logService } from '../../../server/ops/log.js'
import { Outlet } from '../../../server/ops/outlet.js'
import { SOCKET_ID_PATTERN } from '../../../shared/index.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { recordLog } from '../../helpers/suite-logs.js'
import { until } from '../../helpers/within.js'
import { connectReceiver, openReceiver, openSender, serve, untilEnded } from '../serve.js'

const ID = 'Ab3_-fGhIj4k'
const SECRET_NAME = 'payroll.csv'

/** Everything that is logged while sockets with the same id open, are asked for in every way, and end. */
async function logOfARun(format: LogFormat): Promise<string> {
  const served = await serve({
    ids: { pattern: SOCKET_ID_PATTERN, generate: () => ID },
    tombstoneTtl: 0,
  })
  const destination = new PassThrough()
  let log = ''
  destination.on('data', (piece: Buffer) => {
    log += piece
  })
  logService(served.broker, format, new Outlet(destination))
  const { port } = served

  const first = await openSender(port, { target: `PUT /${SECRET_NAME}`, length: 2 })
  for (const target of [
    `HEAD /${ID}`,
    `PATCH /${ID}`,
    `GET /${ID}%E9`,
    `PUT /${ID}/x`,
    `GET /${ID}?wait=soon`,
  ])
    await exchange(port, requestHead(target))
  const receiver = await connectReceiver(port, first)
  expect(await exchange(port, requestHead(`GET /${ID}`))).toMatchObject({ status: 409 })
  await first.write('ok')
  await receiver.ending()
  receiver.end()
  await untilEnded(served, 1)
  // Long enough for the end to be forgotten: a millisecond later.
  await until('the id is free', () => served.service.counts().tombstones === 0)
  const second = await openSender(port)
  // A generator that only gives taken ids is a bug, whose stack is logged.
  expect(await exchange(port, requestHead('POST /', { 'Content-Length': '0' }))).toMatchObject({
    status: 500,
  })
  second.reset()
  await untilEnded(served, 2)
  const late = await openReceiver(port, `/${ID}`)
  await late.until(/^HTTP\/1\.1 4/)
  await setImmediate()
  recordLog(log)
  return log
}

const lines = (log: string) => log.trimEnd().split('\n')

describe('a log as JSON', () => {
  test('has an object a line, for every event, with the outcome of each socket', async () => {
    const records = lines(await logOfARun('json')).map((line) => JSON.parse(line) as Record<string, unknown>)
    const socket = expect.stringMatching(/^[0-9a-f]{12}$/)
    const request = expect.stringMatching(/^[0-9a-f]{6}-\d+$/)
    expect(records.filter(({ msg }) => msg !== 'refused' && msg !== 'bug')).toMatchObject([
      { msg: 'opened', request, from: '127.0.0.1', socket, bytes: 2 },
      { msg: 'receiver connected', request, from: '127.0.0.1', socket, waitedMs: expect.any(Number) },
      {
        msg: 'ended',
        request,
        from: '127.0.0.1',
        socket,
        outcome: 'delivered',
        bytes: 2,
        confirmed: true,
        durationMs: expect.any(Number),
      },
      { msg: 'opened', socket },
      { msg: 'ended', socket, outcome: 'sender-lost', bytes: 0 },
    ])
    expect(records.filter(({ msg }) => msg === 'refused').map(({ code }) => code)).toEqual([
      'method-not-allowed',
      'bad-request',
      'method-not-allowed',
      'bad-request',
      'busy',
      expect.stringMatching(/^(?:gone|not-found)$/),
    ])
    expect(records.filter(({ msg }) => msg === 'bug')).toMatchObject([
      {
        level: 50,
        from: '127.0.0.1',
        err: { message: expect.stringContaining('ids.generate'), stack: expect.any(String) },
      },
    ])
    for (const { time } of records) expect(time).toMatch(/^\d{4}-\d\d-\d\dT/)
  })

  test('has a line for a cut and one for going on, about the same socket and sender', async () => {
    const served = await serve()
    const destination = new PassThrough()
    let log = ''
    destination.on('data', (piece: Buffer) => {
      log += piece
    })
    logService(served.broker, 'json', new Outlet(destination))
    const sender = await openSender(served.port, { length: 5, headers: { 'Ess-Resume': 'rewind' } })
    const receiver = await connectReceiver(served.port, sender)
    await sender.write('he')
    await receiver.until(/he$/)
    receiver.reset()
    await sender.until(/"interrupted"/)
    await openReceiver(served.port, `/${sender.id}`)
    const [, upload = ''] = await sender.until(/"rewind".*"upload":"http:\/\/localhost([^"]+)"/)
    const head = { 'Content-Length': '5', 'Content-Type': 'application/partial-upload' }
    const again = { ...head, 'Upload-Offset': '0', 'Upload-Complete': '?1' }
    const going = await connectRaw(served.port)
    await going.write(requestHead(`PATCH ${upload}`, again))
    await until('it goes on', () => log.includes('"resumed"'))
    recordLog(log)
    const [opened, ...records] = lines(log).map((line) => JSON.parse(line) as Record<string, unknown>)
    const { request, from, socket } = opened ?? {}
    expect(records).toMatchObject([
      { msg: 'receiver connected', socket },
      { msg: 'interrupted', request, from, socket, side: 'receiver' },
      { msg: 'resumed', request, from, socket, offset: 0 },
    ])
  })

  test('names each request, the same on all lines about it, and no two alike', async () => {
    const records = lines(await logOfARun('json')).map((line) => JSON.parse(line) as Record<string, unknown>)
    const requests = records.map(
      ({ msg, request }) => `${msg}: ${String(request).replace(/^[0-9a-f]{6}-/, '')}`,
    )
    expect(requests.filter((line) => !/^(?:refused|bug)/.test(line))).toEqual([
      'opened: 1',
      expect.stringMatching(/^receiver connected: (?!1$)/),
      'ended: 1',
      expect.stringMatching(/^opened: (?!1$)/),
      expect.stringMatching(/^ended: (?!1$)/),
    ])
    const refused = records.filter(({ msg }) => msg === 'refused' || msg === 'bug')
    expect(new Set(refused.map(({ request }) => request)).size).toBe(refused.length)
    expect(new Set(records.map(({ request }) => String(request).slice(0, 6))).size).toBe(1)
  })

  test('shows one socket by one hash within a run, and by another in the next', async () => {
    const runs = [await logOfARun('json'), await logOfARun('json')]
    const hashes = runs.map((log) => new Set(log.match(/"socket":"[^"]+"/g)))
    expect(hashes.map(({ size }) => size)).toEqual([1, 1])
    expect(hashes[0]).not.toEqual(hashes[1])
  })
})

describe('a log as text', () => {
  test('has a line an event, without colours', async () => {
    const log = await logOfARun('text')
    expect(log).toMatch(
      /^\[.*\] INFO: opened \{"request":"[0-9a-f]{6}-1","from":"127.0.0.1","socket":"[0-9a-f]{12}","bytes":2\}\n/,
    )
    expect(log).toMatch(/INFO: ended \{.*"socket":"[0-9a-f]{12}","outcome":"delivered","bytes":2,/)
    expect(log).toMatch(
      /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] ERROR: bug \{"request":.*\n {4}Error: .*\n {8}at /m,
    )
    expect(log).not.toContain('\u001b')
  })
})

test.each(['text', 'json'] as const)(
  'a log as %s never shows an id or the name of a file',
  async (format) => {
    const log = await logOfARun(format)
    expect(log).not.toContain(ID)
    expect(log).not.toContain(encodeURIComponent(ID))
    expect(log).not.toContain(SECRET_NAME)
  },
)

test('a log that is off writes nothing, and listens to nothing', async () => {
  const { service, broker } = await serve()
  const before = service.eventNames().map((name) => service.listenerCount(name))
  logService(broker, 'off', new Outlet(new PassThrough()))
  expect(service.eventNames().map((name) => service.listenerCount(name))).toEqual(before)
  expect(await logOfARun('off')).toBe('')
})
