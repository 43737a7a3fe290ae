import { beforeEach, describe, expect, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectDelivered,
  expectReceived,
  expectSenderFailed,
  PAIRS,
  startReceiver,
  startSender,
  untilReceiving,
} from '../helpers/peers.js'
import { needsRedis, startRedis } from '../helpers/redis.js'
import { balance, clusterFlags } from '../helpers/start-nodes.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'

/*
 * A little of what `--mode several` has as a whole: three nodes and a Redis behind haproxy, which gives each connection
 * to the next node.
 */

const SIZE = 3_000_000

beforeEach((context) => {
  needs(context, 'curl', 'haproxy')
  needsRedis(context)
})

async function startThree(...flags: readonly string[]) {
  const cluster = await clusterFlags((await startRedis()).url)
  const nodes = await Promise.all([1, 2, 3].map(() => startServerHere(...cluster, ...flags)))
  await until('the nodes have their Redis', () => nodes.every((node) => /Redis is well/.test(node.stderr())))
  return await balance(nodes)
}

async function newFile(): Promise<{ readonly path: string; readonly sha256: string }> {
  const path = `${await tempDir()}/file`
  return { path, sha256: await writeFileOf(path, SIZE) }
}

describe.each(PAIRS)('from $sender to $receiver by the next node', (pair) => {
  test('a file and a pipe arrive whole, and a killed receiver is told as lost', async () => {
    const server = await startThree()
    const { path, sha256 } = await newFile()
    for (const source of [{ file: path }, { pipe: path }]) {
      const sender = await startSender(pair.sender, server, source)
      const receiver = await startReceiver(pair.receiver, sender.url)
      await expectReceived(receiver)
      await expectDelivered(sender, SIZE)
      expect(await sha256OfFile(receiver.path)).toBe(sha256)
    }
    const sender = await startSender(pair.sender, server, 'held')
    const receiver = await connectReceiver(pair.receiver, sender)
    sender.stdin.write(Buffer.alloc(1_000_000))
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    await expectSenderFailed(sender, 'receiver-lost')
  })
})

test('by HTTP/2, whose TLS haproxy passes through, a file arrives whole', async (context) => {
  needs(context, 'openssl')
  const { path: cert, keyPath } = await certificate()
  const server = await startThree('--tls-cert', cert, '--tls-key', keyPath)
  const { path, sha256 } = await newFile()
  // Whose certificate it is, is the matter of other tests.
  const args = ['-k', '--http2']
  const sender = await startSender('curl', server, { file: path }, args)
  const receiver = await startReceiver('curl', sender.url, args)
  await expectReceived(receiver)
  await expectDelivered(sender, SIZE)
  expect(await sha256OfFile(receiver.path)).toBe(sha256)
})
