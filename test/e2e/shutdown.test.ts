import { readFile } from 'node:fs/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  CURL_HTTP_ERROR,
  connectReceiver,
  expectCutOff,
  expectDelivered,
  expectReceived,
  expectSenderCutOff,
  expectSenderFailed,
  PAIRS,
  spawnSender,
  startSender,
  TOOLS,
  untilReceiving,
} from '../helpers/peers.js'
import { startServer } from '../helpers/start-server.js'
import { until } from '../helpers/within.js'

beforeEach((context) => needs(context, 'curl'))

async function untilStopping(port: number): Promise<void> {
  const health = requestHead('GET /health')
  await until('the server says that it stops', async () => (await exchange(port, health)).status === 503)
}

describe.each(['SIGTERM', 'SIGINT'] as const)('a server told to stop by %s', (signal) => {
  test.each(TOOLS)('tells a waiting %s, and exits 0', async (tool) => {
    const server = await startServer()
    const sender = await startSender(tool, server, 'held')
    server.signal(signal)
    await expectSenderFailed(sender, 'shutting-down')
    expect(await server.ended()).toMatchObject({ code: 0, signal: null })
  })
})

test('a server without work exits 0 at once', async () => {
  const server = await startServer()
  expect(await server.stop()).toMatchObject({ code: 0, signal: null })
})

describe.each(PAIRS)('a stopping server, with $sender and $receiver midway', (pair) => {
  test('lets them finish, takes no new transfer, and exits 0', async () => {
    const server = await startServer()
    const sender = await startSender(pair.sender, server, 'held')
    const receiver = await connectReceiver(pair.receiver, sender)
    const half = bytesOf(1_000_000)
    sender.stdin.write(half)
    await untilReceiving(receiver)
    server.signal('SIGTERM')
    await untilStopping(server.port)

    const answer = await exchange(server.port, requestHead('POST /', { 'Content-Length': '1' }))
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': expect.stringMatching(/^\d+$/) } })
    expect(answer.body).toMatch(/ \[shutting-down\]\n$/)
    const late = await spawnSender(pair.sender, server, 'held')
    // `ess` tries for a while, because another server may be here then.
    if (pair.sender === 'curl') expect((await late.ended()).code).toBe(CURL_HTTP_ERROR)
    else await late.untilStderr(/The server is away, trying again\./)

    sender.stdin.end(half)
    await expectReceived(receiver)
    await expectDelivered(sender, 2_000_000)
    expect(Buffer.compare(await readFile(receiver.path), Buffer.concat([half, half]))).toBe(0)
    expect(await server.ended()).toMatchObject({ code: 0, signal: null })
  })

  test('fails them truthfully when the drain is over', async () => {
    const server = await startServer('--drain', '0.5')
    const sender = await startSender(pair.sender, server, 'held')
    const receiver = await connectReceiver(pair.receiver, sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    server.signal('SIGTERM')
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'shutting-down')
    expect(await server.ended()).toMatchObject({ code: 0, signal: null })
  })

  test('stops at once at a second signal, and neither side takes it for a success', async () => {
    const server = await startServer('--drain', '600')
    const sender = await startSender(pair.sender, server, 'held')
    const receiver = await connectReceiver(pair.receiver, sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    server.signal('SIGTERM')
    await untilStopping(server.port)
    server.signal('SIGTERM')
    expect(await server.ended()).toMatchObject({ code: 1, signal: null })
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'shutting-down')
  })

  test('killed outright (SIGKILL), neither side takes it for a success', async () => {
    const server = await startServer()
    const sender = await startSender(pair.sender, server, 'held')
    const receiver = await connectReceiver(pair.receiver, sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    await server.stop('SIGKILL')
    await expectCutOff(receiver)
    await expectSenderCutOff(sender)
  })
})
