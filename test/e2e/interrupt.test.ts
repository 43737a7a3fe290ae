import { beforeEach, describe, expect, test } from 'vitest'
import { EXIT_STATUS } from '../../shared/index.js'
import { bytesOf } from '../helpers/bytes.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectCutOff,
  expectNoFile,
  expectSenderFailed,
  PAIRS,
  startSender,
  TOOLS,
  type Tool,
  untilReceiving,
} from '../helpers/peers.js'
import type { Program } from '../helpers/run.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { until } from '../helpers/within.js'

beforeEach((context) => needs(context, 'curl'))

/** Ctrl-C: `ess` says 130, curl dies of the signal; a shell shows 130 for both. */
async function interrupt(tool: Tool, program: Program): Promise<void> {
  program.kill('SIGINT')
  const { code, signal } = await program.ended()
  expect({ code, signal }).toEqual(
    tool === 'ess' ? { code: EXIT_STATUS.interrupted, signal: null } : { code: null, signal: 'SIGINT' },
  )
}

test.each(TOOLS)('Ctrl-C on a waiting %s ends its socket at once', async (tool) => {
  // The heartbeat is 30 seconds away, so it is not what finds out.
  const server = await startServerHere()
  const sender = await startSender(tool, server, 'held')
  await interrupt(tool, sender)
  const head = requestHead(`HEAD ${new URL(sender.url).pathname}`)
  await until('the socket is gone', async () => (await exchange(server.port, head)).status === 410)
})

describe.each(PAIRS)('$sender to $receiver', ({ sender: senderTool, receiver: receiverTool }) => {
  test('Ctrl-C on the sender midway cuts the receiver off', async () => {
    const server = await startServerHere()
    const sender = await startSender(senderTool, server, 'held')
    const receiver = await connectReceiver(receiverTool, sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    await interrupt(senderTool, sender)
    await expectCutOff(receiver)
  })

  test('Ctrl-C on the receiver midway fails the sender', async () => {
    const server = await startServerHere()
    const sender = await startSender(senderTool, server, 'held')
    const receiver = await connectReceiver(receiverTool, sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    await interrupt(receiverTool, receiver)
    if (receiverTool === 'ess') await expectNoFile(receiver)
    await expectSenderFailed(sender, 'receiver-lost')
  })
})
