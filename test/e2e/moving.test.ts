import { beforeEach, expect, test } from 'vitest'
import { beginAll, expectArrivals, openAll, withFirstNode } from '../helpers/killed-node.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectCutOff,
  expectDelivered,
  expectReceived,
  expectSenderCutOff,
  expectSenderFailed,
  startSender,
  untilReceiving,
} from '../helpers/peers.js'
import { needsRedis, startRedis } from '../helpers/redis.js'
import { rollingCluster } from '../helpers/rolling-cluster.js'
import { rollingRestart } from '../helpers/rolling-restart.js'
import { clusterFlags } from '../helpers/start-nodes.js'
import { startServer } from '../helpers/start-server.js'

beforeEach((context) => {
  needs(context, 'curl', 'haproxy')
  needsRedis(context)
})

test('a rolling restart loses no transfer that runs, waits or begins', async () => {
  const cluster = await rollingCluster(3, '--reservations', '--drain', '5')
  await rollingRestart(cluster, { running: 4, waiting: 8, beginning: 4 })
}, 120_000)

test('of the transfers of a node that is killed, those between ess clients go on, and curl is told', async () => {
  const { cluster, first, opened } = await withFirstNode(async (cluster) => ({
    transfers: await openAll(
      [
        { what: 'file', args: ['-e'], phase: 'waiting' },
        { what: 'pipe', args: [], phase: 'streaming' },
        { what: 'folder', args: ['--reserve'], phase: 'streaming' },
      ],
      cluster,
    ),
    waiting: await startSender('curl', cluster, 'held'),
    sending: await startSender('curl', cluster, 'held'),
    resumable: await startSender('ess', cluster, 'held'),
  }))
  const { transfers, waiting, sending, resumable } = opened
  const receivers = [await connectReceiver('curl', sending), await connectReceiver('curl', resumable)]
  for (const sender of [sending, resumable]) sender.stdin.write(Buffer.alloc(1_000_000))
  for (const receiver of receivers) await untilReceiving(receiver)
  const begun = await beginAll(transfers, cluster)
  first.signal('SIGKILL')
  await Promise.all([
    expectArrivals(begun, cluster),
    expectSenderCutOff(waiting),
    expectSenderCutOff(sending),
    ...receivers.map((receiver) => expectCutOff(receiver)),
  ])
}, 120_000)

test('a node that stops lets what curl sends end, and tells a curl that waits', async () => {
  const node = await startServer(...(await clusterFlags((await startRedis()).url)))
  const waiting = await startSender('curl', node, 'held')
  const sending = await startSender('curl', node, 'held')
  const receiver = await connectReceiver('curl', sending)
  sending.stdin.write(Buffer.alloc(1_000_000))
  await untilReceiving(receiver)
  node.signal('SIGTERM')
  await expectSenderFailed(waiting, 'shutting-down')
  sending.stdin.end(Buffer.alloc(1_000_000))
  await expectReceived(receiver)
  await expectDelivered(sending, 2_000_000)
  expect((await node.ended()).code).toBe(0)
})
