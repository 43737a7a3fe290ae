import { beforeEach, test } from 'vitest'
import { expectToOutlive } from '../helpers/killed-node.js'
import { needs } from '../helpers/needs.js'
import { needsRedis } from '../helpers/redis.js'
import { rollingCluster } from '../helpers/rolling-cluster.js'
import { rollingRestart } from '../helpers/rolling-restart.js'

beforeEach((context) => {
  needs(context, 'haproxy')
  needsRedis(context)
})

test('a rolling restart loses none of 50 transfers that run, none of 300 that wait, and none that begin', async () => {
  const cluster = await rollingCluster(3, '--reservations', '--drain', '5')
  await rollingRestart(cluster, { running: 50, waiting: 300, beginning: 4 })
}, 300_000)

test('transfers between ess clients go on when their node is frozen', async () => {
  await expectToOutlive(
    [
      { what: 'file', args: [], phase: 'waiting' },
      { what: 'pipe', args: [], phase: 'waiting' },
      { what: 'file', args: [], phase: 'streaming' },
      { what: 'file', args: [], phase: 'interrupted' },
    ],
    'SIGSTOP',
  )
}, 300_000)

test('every kind of transfer between ess clients outlives its node', async () => {
  await expectToOutlive([
    { what: 'file', args: [], phase: 'waiting' },
    { what: 'pipe', args: [], phase: 'waiting' },
    { what: 'folder', args: ['-e'], phase: 'waiting' },
    { what: 'file', args: ['--reserve'], phase: 'waiting' },
    { what: 'file', args: [], phase: 'streaming' },
    { what: 'pipe', args: ['-e'], phase: 'streaming' },
    { what: 'folder', args: [], phase: 'streaming' },
    { what: 'file', args: ['-e', '--reserve'], phase: 'streaming' },
    { what: 'file', args: [], phase: 'interrupted' },
    { what: 'file', args: ['-e'], phase: 'interrupted' },
    { what: 'folder', args: [], phase: 'interrupted' },
    { what: 'file', args: ['--reserve'], phase: 'interrupted' },
  ])
}, 300_000)
