import { readFile } from 'node:fs/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { IS_BALANCED } from '../helpers/other-node.js'
import {
  connectReceiver,
  expectCutOff,
  expectReceived,
  expectRefused,
  PAIRS,
  sparseFile,
  startReceiver,
  startSender,
  TOOLS,
  type Tool,
  untilReceiving,
} from '../helpers/peers.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { startServer } from '../helpers/start-server.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'
import { needsProc, untilAllUnread, untilUnreadByServer } from '../helpers/unread.js'
import { until } from '../helpers/within.js'

const ENDLESS = 8 * 1024 ** 3
const NO_LIMIT = ['--max-upload-bytes', '0']

beforeEach((context) => needs(context, 'curl'))

// haproxy keeps the end of a connection behind the bytes before it, and those of a waiting curl are not read.
const isHidden = (senderTool: Tool) => IS_BALANCED && senderTool === 'curl'

describe.each(TOOLS.filter((tool) => !isHidden(tool)))('%s, killed while it waits', (senderTool) => {
  test('is found by the heartbeat', async () => {
    const server = await startServerHere(...NO_LIMIT, '--heartbeat', '0.2')
    // curl pushes the file until every buffer is full, and is deaf to its own end by then.
    const sender = await startSender(senderTool, server, { file: await sparseFile(ENDLESS) })
    await sender.untilStdout(/"waiting"/)
    sender.kill('SIGKILL')
    await sender.ended()
    // HEAD only looks, so it is the heartbeat that finds out.
    const head = requestHead(`HEAD ${new URL(sender.url).pathname}`)
    await until('the socket is gone', async () => (await exchange(server.port, head)).status === 410)
    await expectRefused(await startReceiver('curl', sender.url), 'gone')
    await expectRefused(await startReceiver('ess', sender.url), 'gone')
  })

  test.for(TOOLS)('gives %s a problem rather than a broken 200', async (receiverTool, context) => {
    if (senderTool === 'curl') needsProc(context)
    const server = await startServerHere(...NO_LIMIT)
    const sender = await startSender(senderTool, server, { file: await sparseFile(ENDLESS) })
    // Of a curl that has pushed nothing yet, the server would see the end by itself.
    if (senderTool === 'curl') await untilUnreadByServer(server.port, 32 * 1024)
    sender.kill('SIGKILL')
    await sender.ended()
    const receiver = await startReceiver(receiverTool, sender.url)
    // `ess` has pushed nothing, so the server may have seen it go before the receiver came.
    if (senderTool === 'curl') await expectRefused(receiver, 'sender-lost')
    else await expectRefused(receiver, 'sender-lost', 'gone')
  })
})

describe.each(PAIRS)('$sender to $receiver', ({ sender: senderTool, receiver: receiverTool }) => {
  test('a sender of unknown length, killed midway, cuts the receiver off', async () => {
    const server = await startServerHere()
    const sender = await startSender(senderTool, server, 'held')
    const receiver = await connectReceiver(receiverTool, sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    sender.kill('SIGKILL')
    await expectCutOff(receiver)
  })

  test('a sender of known length, killed midway, cuts the receiver off', async () => {
    const server = await startServerHere(...NO_LIMIT)
    const sender = await startSender(senderTool, server, { file: await sparseFile(ENDLESS) })
    const receiver = await connectReceiver(receiverTool, sender)
    await untilReceiving(receiver)
    sender.kill('SIGKILL')
    await expectCutOff(receiver)
  })

  test('a sender killed after the receiver came and before its first byte is a problem, not a 200', async () => {
    const server = await startServerHere()
    const sender = await startSender(senderTool, server, 'held')
    const receiver = await connectReceiver(receiverTool, sender)
    sender.kill('SIGKILL')
    await expectRefused(receiver, 'sender-lost')
  })
})

/** A sender that sends its whole body at once, or later, and can then vanish. */
async function rawSender(server: Pick<ServerHere, 'url' | 'port'>, size: number) {
  const peer = await connectRaw(server.port)
  await peer.write(requestHead('POST /', { 'Content-Length': String(size) }))
  const [, path = ''] = await peer.until(/\r\nhttp:\/\/localhost(\/\S+)\n/)
  return { ...peer, url: server.url + path }
}

describe('a sender that vanishes after its last byte', () => {
  const BODY = bytesOf(10_000)

  // A balancer may hide that it has vanished until a receiver comes, who then may get all of it.
  test.skipIf(IS_BALANCED).each(TOOLS)('before %s came, has sent it nothing', async (receiverTool) => {
    const server = await startServerHere()
    const sender = await rawSender(server, BODY.length)
    await sender.write(BODY)
    sender.reset()
    await expectRefused(await startReceiver(receiverTool, sender.url), 'sender-lost', 'gone')
  })

  // The server was busy with something else: it finds the body, its sender's reset and the receiver's request at once.
  // With several workers, the process that is stopped here is only their parent; of several nodes, it is one.
  test.skipIf(process.env['ESS_WORKERS'] !== undefined || IS_BALANCED)(
    'before a receiver came, all in one turn of the server, has sent it nothing',
    async () => {
      const server = await startServer()
      for (let round = 0; round < 20; round++) {
        const sender = await rawSender(server, BODY.length)
        const receiver = await connectRaw(server.port)
        process.kill(server.pid, 'SIGSTOP')
        try {
          await sender.write(BODY)
          sender.reset()
          await receiver.write(requestHead(`GET ${new URL(sender.url).pathname}`))
          process.kill(server.pid, 'SIGCONT')
          const [, status] = await receiver.until(/^HTTP\/1\.1 (\d+)/)
          expect(['410', '502'], `status in round ${round}`).toContain(status)
        } finally {
          process.kill(server.pid, 'SIGCONT')
        }
      }
    },
  )

  test.for(TOOLS)('while %s still reads, has delivered it all', async (receiverTool, context) => {
    needsProc(context)
    const server = await startServerHere()
    const sender = await rawSender(server, BODY.length)
    const receiver = await startReceiver(receiverTool, sender.url)
    await sender.until(/# receiver connected/)
    receiver.kill('SIGSTOP')
    await sender.write(BODY)
    await untilAllUnread(server.port, BODY.length)
    sender.reset()
    receiver.kill('SIGCONT')
    await expectReceived(receiver)
    expect(Buffer.compare(await readFile(receiver.path), BODY)).toBe(0)
  })
})

test('a sender that says it is done (FIN) before its last byte cuts the receiver off', async () => {
  const server = await startServerHere()
  const sender = await rawSender(server, 100_000)
  const receiver = await startReceiver('curl', sender.url)
  await sender.write(bytesOf(50_000))
  await untilReceiving(receiver)
  sender.end()
  await expectCutOff(receiver)
})
