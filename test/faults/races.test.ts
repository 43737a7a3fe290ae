import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { isTerminal } from '../../shared/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { IS_BALANCED } from '../helpers/other-node.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { NO_CLIENT_LIMITS, startServer, type TestServer } from '../helpers/start-server.js'
import { until } from '../helpers/within.js'
import { eventsOf, openSender, senderHead } from '../server/serve.js'
import { ServerLog } from './server-log.js'

/** How often each race is run: its winner is not always the same. */
const RACES = 200
const AT_A_TIME = 10
const BODY = 'hello, whoever comes first'

test(`of two receivers that come at once one wins, ${RACES} times`, async () => {
  const { server, log } = await start()
  await repeatedly(async () => {
    const sender = await openSender(server.port, { length: BODY.length })
    const receivers = [await connectRaw(server.port), await connectRaw(server.port)]
    const request = requestHead(`GET /${sender.id}`)
    await Promise.all([...receivers.map((receiver) => receiver.write(request)), sender.write(BODY)])
    const answers = await Promise.all(receivers.map(answerTo))
    const [won, lost] = answers.sort((a, b) => a.status - b.status)
    expect(won).toMatchObject({ status: 200, body: BODY })
    expect(lost).toMatchObject({
      status: expect.any(Number),
      body: expect.stringMatching(/ \[(?:busy|gone)\]\n$/),
    })
    await expectToldOnce(sender, 'delivered')
  })
  await expectOneEndEach(log)
})

test(`a receiver that comes when the time is over gets all or nothing, ${RACES} times`, async () => {
  const { server, log } = await start()
  const outcomes = new Set<string>()
  await repeatedly(async (round) => {
    const target = `POST /?ttl=${TTL_MS / 1000}`
    const sender = await openSender(server.port, { target, length: BODY.length })
    const receiver = await connectRaw(server.port)
    await sender.write(BODY)
    // Around the end of the TTL, a little earlier or later each time; and once long before, and once after it.
    await delay([0, 2 * TTL_MS][round] ?? TTL_MS - SPREAD_MS + (round % (2 * SPREAD_MS)))
    await receiver.write(requestHead(`GET /${sender.id}`))
    const answer = await answerTo(receiver)
    const isServed = answer.status === 200
    if (isServed) expect(answer.body).toBe(BODY)
    else expect(answer).toMatchObject({ status: 410, body: expect.stringMatching(/ \[gone\]\n$/) })
    outcomes.add(isServed ? 'delivered' : 'expired')
    await expectToldOnce(sender, isServed ? 'delivered' : 'expired')
  })
  await expectOneEndEach(log)
  expect([...outcomes].sort(), 'both have won').toEqual(['delivered', 'expired'])
})

/** Time enough for a receiver to be connected before it, on a busy machine. */
const TTL_MS = 150
const SPREAD_MS = 40

test(`a DELETE that races the PUT is the end of it, or too late, ${RACES} times`, async () => {
  const { server, log } = await start('--reservations')
  const outcomes = new Set<string>()
  await repeatedly(async (round) => {
    const { id, upload } = await reserve(server)
    const [follower, receiver, sender, canceller] = await Promise.all(
      Array.from({ length: 4 }, () => connectRaw(server.port)),
    )
    if (!follower || !receiver || !sender || !canceller) throw new Error('Expected four connections')
    await follower.write(requestHead(`GET ${upload}/events`, { Accept: 'application/x-ndjson' }))
    await follower.until(/"reserved"/)
    await receiver.write(requestHead(`GET /${id}`))
    const put = senderHead({ target: `PUT ${upload}`, length: BODY.length }) + BODY
    const cancel = () => canceller.write(requestHead(`DELETE ${upload}`))
    // With the upload, before or behind it; or with the receiver's confirmation, or an answer later.
    if (round % 4 === 0) await Promise.all([cancel(), sender.write(put)])
    if (round % 4 === 1) await Promise.all([sender.write(put), cancel()])
    if (round % 4 >= 2) {
      await sender.write(put)
      await receiver.until(new RegExp(`${BODY}$`))
      receiver.end()
      if (round % 4 === 3) await exchange(server.port, requestHead('GET /health'))
      await cancel()
    }
    const [sent, cancelled, received] = await Promise.all([
      answerTo(sender),
      answerTo(canceller),
      endOf(receiver),
    ])
    const isDelivered = sent.status === 200
    // What is over is answered like what never was; so is the upload, where the DELETE was there before it.
    expect(isDelivered ? OVER : [204], cancelled.body).toContain(cancelled.status)
    if (isDelivered) expect(parseAnswer(received)).toMatchObject({ status: 200, body: BODY })
    else expect([...OVER, 410], sent.body).toContain(sent.status)
    outcomes.add(isDelivered ? 'delivered' : 'cancelled')
    await expectToldOnce(follower, isDelivered ? 'delivered' : 'cancelled')
  })
  await expectOneEndEach(log)
  expect([...outcomes].sort(), 'both have won').toEqual(['cancelled', 'delivered'])
})

/** Several nodes look more than once for an upload that is over. One that had too little time for it can't say that. */
const OVER = IS_BALANCED ? [404, 503] : [404]

async function start(...flags: readonly string[]): Promise<{ server: TestServer; log: ServerLog }> {
  const server = await startServer('--log', 'json', ...NO_CLIENT_LIMITS, ...flags)
  return { server, log: new ServerLog(server) }
}

/** Runs a race so many times, a few at once. */
async function repeatedly(race: (round: number) => Promise<void>): Promise<void> {
  const rounds = Array.from({ length: RACES }, (_, round) => round).values()
  const worker = async () => {
    for (const round of rounds) await race(round)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
}

async function reserve(server: TestServer): Promise<{ id: string; upload: string }> {
  const peer = await connectRaw(server.port)
  await peer.write(requestHead('POST /reserve', { Accept: 'application/json' }))
  // The server's own answer, whose members are used at once.
  const reserved = JSON.parse((await answerTo(peer)).body) as { id: string; upload: string }
  return { id: reserved.id, upload: new URL(reserved.upload).pathname }
}

/** Reads to the end, and closes in good order: of a download, that is the confirmation. */
async function endOf(peer: RawPeer): Promise<string> {
  await peer.ending()
  peer.end()
  return peer.text()
}

async function answerTo(peer: RawPeer) {
  return parseAnswer(await endOf(peer))
}

/** The status stream has one verdict, this one, as its last word. */
async function expectToldOnce(peer: RawPeer, outcome: string): Promise<void> {
  await endOf(peer)
  const events = eventsOf(peer)
  expect(events.filter(isTerminal)).toEqual([events.at(-1)])
  expect(events.at(-1)).toMatchObject(
    outcome === 'delivered'
      ? { event: 'delivered', confirmed: true }
      : { event: 'failed', problem: { type: `urn:ess:problem:${outcome}` } },
  )
}

/** Each socket that began has ended once. The lines of a worker pass through its parent, and may come after the verdict. */
async function expectOneEndEach(log: ServerLog): Promise<void> {
  await until('the log has as many ends', () => log.ends().length >= RACES)
  expect(log.begun()).toHaveLength(RACES)
  expect(
    log
      .ends()
      .map(({ socket }) => socket)
      .sort(),
  ).toEqual([...log.begun()].sort())
}
