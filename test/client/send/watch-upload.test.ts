import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { watchUpload } from '../../../client/send/watch-upload.js'
import { EssError, encodeStatus, type StatusEvent, toProblem } from '../../../shared/index.js'
import { until } from '../../helpers/within.js'

const OPENED: StatusEvent = {
  event: 'opened',
  v: 1,
  id: 'abc',
  url: 'http://127.0.0.1/abc',
  ttl: 600,
  resumeWithin: 120,
  expires: '2026-01-31T12:00:00.000Z',
  maxUploadBytes: 0,
}

/** How often the connection is looked at. */
const LOOK_MS = 5_000

/** A server that answers for the upload's events, and a watch of an upload that has had these. */
async function watched(answer: 'node-away' | StatusEvent, ...seen: readonly StatusEvent[]) {
  let asked = 0
  let answered = 0
  const server = createServer((_request, response) => {
    asked++
    if (answer === 'node-away') {
      const problem = JSON.stringify(toProblem(new EssError('node-away')))
      response.writeHead(503, { 'Content-Type': 'application/problem+json' }).end(problem)
    } else {
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson' }).end(encodeStatus(answer, 'ndjson'))
    }
  })
  // It lets go of its connection when it has read the answer.
  server.on('connection', (connection) => connection.once('close', () => answered++))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const upload = new URL(`http://127.0.0.1:${port}/uploads/x`)
  const resource = { upload, events: new URL(`${upload}/events`) }
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const failures: string[] = []
  const watch = watchUpload(
    () => resource,
    {},
    ({ code }) => failures.push(code),
  )
  onTestFinished(() => watch.stop())
  for (const event of seen) watch.see(event)
  return { failures, asked: () => asked, answered: () => answered, passSilently }
}

/** Nothing comes for so long. */
function passSilently(seconds: number): void {
  for (let ms = 0; ms < 1000 * seconds; ms += LOOK_MS) vi.advanceTimersByTime(LOOK_MS)
}

const WAITING: StatusEvent = { event: 'waiting', secondsLeft: 570 }
const CONNECTED: StatusEvent = { event: 'connected' }

test('a sender that waits is lost when nothing comes, and another node misses the one that it waits at', async () => {
  const { failures, asked, passSilently } = await watched('node-away', OPENED, WAITING)
  passSilently(70)
  expect(asked()).toBe(0)
  passSilently(10)
  await until('it is lost', () => failures.length > 0)
  expect(failures).toEqual(['connection-lost'])
})

test('one that sends is lost when its node is missed twice in a row', async () => {
  const { failures, asked, answered, passSilently } = await watched('node-away', OPENED, CONNECTED)
  passSilently(25)
  await until('it has its answer', () => answered() === 1)
  expect(failures).toEqual([])
  passSilently(25)
  await until('it is lost', () => failures.length > 0)
  expect(asked()).toBe(2)
  expect(failures).toEqual(['connection-lost'])
})

test('one that waits at a node which says so waits on', async () => {
  const { failures, answered, passSilently } = await watched(WAITING, OPENED, WAITING)
  passSilently(80)
  await until('it has its answer', () => answered() === 1)
  passSilently(80)
  await until('it has its next answer', () => answered() === 2)
  expect(failures).toEqual([])
})

test('one that waits for longer than its link lasts, and hears nothing, is lost without a question', async () => {
  const { failures, asked, passSilently } = await watched(WAITING, { ...OPENED, ttl: 60 })
  passSilently(80)
  await until('it is lost', () => failures.length > 0)
  expect(failures).toEqual(['connection-lost'])
  expect(asked()).toBe(0)
})

test('one that sends may do so for longer than its link lasts', async () => {
  const { failures, answered, passSilently } = await watched(CONNECTED, { ...OPENED, ttl: 60 }, CONNECTED)
  passSilently(80)
  await until('it has its answer', () => answered() === 1)
  expect(failures).toEqual([])
})
