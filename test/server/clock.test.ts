import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { listenAdmin } from '../../server/ops/admin.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { DEADLINE_MS, within } from '../helpers/within.js'
import { connectReceiver, eventsOf, openSender, serve, untilEnded } from './serve.js'

const HOUR_MS = 3_600_000

beforeEach(() => {
  // The clock alone: timers and `performance.now` go on as they do.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  return () => void vi.useRealTimers()
})

function setClock(byMs: number): void {
  vi.setSystemTime(Date.now() + byMs)
}

describe.each([
  ['back', -2 * HOUR_MS],
  ['forward', 2 * HOUR_MS],
])('a clock that is set %s by two hours', (_way, byMs) => {
  test('changes nothing of how long a sender may wait', async () => {
    const { port, service } = await serve({ heartbeat: 0.1, ttl: 60 })
    const sender = await openSender(port)
    const [before] = service.sockets()
    setClock(byMs)
    await sender.until(/"event":"waiting"/)
    expect(eventsOf(sender).at(-1)).toMatchObject({ event: 'waiting', secondsLeft: 60 })
    const [socket] = service.sockets()
    expect(socket?.ageMs).toBeLessThan(DEADLINE_MS)
    // As the clock is now, and as far away as before.
    const leftMs = (socket?.expiresAt ?? 0) - Date.now()
    expect(Math.abs(leftMs + (socket?.ageMs ?? 0) - 60_000)).toBeLessThan(1000)
    expect(socket?.openedAt).toBe(before?.openedAt)
  })

  test('ends a socket when its time is over, and not by the clock', async () => {
    const served = await serve({ ttl: 0.2 })
    await openSender(served.port)
    setClock(byMs)
    const [end] = await untilEnded(served)
    expect(end?.outcome).toBe('expired')
    expect(end?.durationMs).toBeGreaterThanOrEqual(199)
    expect(end?.durationMs).toBeLessThan(DEADLINE_MS)
  })

  test('changes nothing of how long a client that guessed is refused', async () => {
    const { port } = await serve({ maxMissesPerClient: 2 })
    const guess = () => exchange(port, requestHead('GET /Ab3_-fGhIj4k'))
    expect([(await guess()).status, (await guess()).status]).toEqual([404, 404])
    setClock(byMs)
    const { status, headers } = await guess()
    expect(status).toBe(429)
    const seconds = Number(headers['retry-after'])
    expect(seconds).toBeGreaterThan(30)
    expect(seconds).toBeLessThanOrEqual(60)
  })

  test('changes nothing of how long an ended id is known, nor of what is measured', async () => {
    const served = await serve({ tombstoneTtl: 60 })
    const admin = await listenAdmin(served.broker, { host: '127.0.0.1', port: 0 })
    const sender = await openSender(served.port, { length: 2 })
    setClock(byMs)
    const receiver = await connectReceiver(served.port, sender)
    await sender.write('ok')
    await receiver.ending()
    receiver.end()
    const [end] = await untilEnded(served)
    expect(end?.durationMs).toBeLessThan(DEADLINE_MS)
    setClock(byMs)
    expect(await exchange(served.port, requestHead(`GET /${sender.id}`))).toMatchObject({ status: 410 })
    expect(served.service.counts().tombstones).toBe(1)
    const { body } = await exchange(Number(new URL(admin.url).port), requestHead('GET /metrics'))
    const waited = Number(/^ess_waiting_seconds_sum (\S+)$/m.exec(body)?.[1])
    expect(waited).toBeGreaterThan(0)
    expect(waited).toBeLessThan(DEADLINE_MS / 1000)
    await within(DEADLINE_MS, 'the admin listener closes', admin.close())
  })
})

test('only what has to do with dates looks at the clock', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const looks: string[] = []
  for (const folder of ['server', 'client', 'shared']) {
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (!name.endsWith('.ts')) continue
      const source = await readFile(join(root, folder, name), 'utf8')
      if (/\bDate\.now\(|\bnew Date\(\)/.test(source)) looks.push(`${folder}/${name}`)
    }
  }
  expect(looks.sort()).toEqual([
    // When the machine was started, and when a part was written to.
    'client/bundle/unpack/boot.ts',
    'client/bundle/unpack/journal.ts',
    // Whether the server's clock agrees with this one, and a certificate is out of date.
    'client/doctor/checks/server.ts',
    'client/doctor/checks/tls.ts',
    // The dates of a part file: that it is being written, and how far it is on the disk.
    'client/receive/live-part.ts',
    'client/receive/part-file.ts',
    'client/receive/part-record.ts',
    // How long a sender has heard nothing, with the hours that its laptop slept.
    'client/send/known-upload.ts',
    // openedAt and expiresAt, which are dates.
    'server/broker/socket.ts',
    // Whether a certificate is out of date.
    'server/listen/tls.ts',
    // The field Date of a head.
    'server/node/stored-head.ts',
  ])
})
