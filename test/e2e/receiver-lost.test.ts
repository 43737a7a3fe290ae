import { join } from 'node:path'
import { beforeEach, describe, test } from 'vitest'
import { bytesOf, writeFileOf } from '../helpers/bytes.js'
import { requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { IS_BALANCED } from '../helpers/other-node.js'
import {
  connectReceiver,
  expectSenderFailed,
  PAIRS,
  sparseFile,
  startSender,
  TOOLS,
  untilReceiving,
} from '../helpers/peers.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { needsProc, untilAllUnread } from '../helpers/unread.js'

/** Far more than any connection's buffers hold, so that nobody is done before the receiver is killed. */
const ENDLESS = 8 * 1024 ** 3
/** Small enough for the kernel to take it all from the server without anybody reading. */
const SMALL = 10_000

/** haproxy ends a connection in good order for a receiver that was reset after haproxy had written the last byte to it. */
const testOfLastBytes = test.skipIf(IS_BALANCED)

beforeEach((context) => needs(context, 'curl'))

describe.each(PAIRS)('$sender to $receiver', ({ sender: senderTool, receiver: receiverTool }) => {
  test('a receiver killed before its first byte fails the sender', async () => {
    const server = await startServerHere()
    const sender = await startSender(senderTool, server, 'held')
    const receiver = await connectReceiver(receiverTool, sender)
    receiver.kill('SIGKILL')
    await expectSenderFailed(sender, 'receiver-lost')
  })

  test('a receiver killed midway fails a sender of unknown length', async () => {
    const server = await startServerHere()
    const sender = await startSender(senderTool, server, 'held')
    const receiver = await connectReceiver(receiverTool, sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    await expectSenderFailed(sender, 'receiver-lost')
  })

  test('a receiver killed midway fails a sender of known length', async () => {
    const server = await startServerHere('--max-upload-bytes', '0')
    const sender = await startSender(senderTool, server, { file: await sparseFile(ENDLESS) })
    const receiver = await connectReceiver(receiverTool, sender)
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    await expectSenderFailed(sender, 'receiver-lost')
  })

  testOfLastBytes(
    'a receiver killed with every byte in its kernel, unread, fails the sender',
    async (context) => {
      needsProc(context)
      const server = await startServerHere()
      const sender = await startSender(senderTool, server, 'held')
      const receiver = await connectReceiver(receiverTool, sender)
      receiver.kill('SIGSTOP')
      sender.stdin.end(bytesOf(SMALL))
      await untilAllUnread(server.port, SMALL)
      receiver.kill('SIGKILL')
      await expectSenderFailed(sender, 'receiver-lost')
    },
  )
})

describe.each(TOOLS)('%s to a receiver that never reads', (senderTool) => {
  testOfLastBytes(
    'a reset with every byte in its kernel, unread, fails a sender of known length',
    async (context) => {
      needsProc(context)
      const path = join(await tempDir(), 'small')
      await writeFileOf(path, SMALL)
      const server = await startServerHere()
      const sender = await startSender(senderTool, server, { file: path })
      const receiver = await connectRaw(server.port, { paused: true })
      await receiver.write(requestHead(`GET ${new URL(sender.url).pathname}`))
      await untilAllUnread(server.port, SMALL)
      receiver.reset()
      await expectSenderFailed(sender, 'receiver-lost')
    },
  )
})
