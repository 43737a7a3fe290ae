import { beforeEach, describe, expect, test } from 'vitest'
import { startBalancer } from '../helpers/balancer.js'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectDelivered,
  expectReceived,
  type Receiver,
  type Sender,
  startReceiver,
  startSender,
  TOOLS,
  untilReceiving,
} from '../helpers/peers.js'
import { needsRedis, startRedis, type TestRedis } from '../helpers/redis.js'
import { clusterFlags } from '../helpers/start-nodes.js'
import { startServer, type TestServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'

const SIZE = 2_000_000

/** A node takes 10 s to trust a Redis again that has lost its records, after one heartbeat. */
const HEALED_MS = 30_000

/** How Redis goes away, how it comes back, and what the nodes say meanwhile. */
const TROUBLES = {
  'is stopped, and started again empty': {
    goes: (redis: TestRedis) => redis.stop('SIGTERM'),
    comes: (redis: TestRedis) => redis.start(),
    troubles: ['away'],
  },
  'hangs, and goes on': {
    goes: (redis: TestRedis) => redis.freeze(),
    comes: (redis: TestRedis) => redis.thaw(),
    // First its answers are late, and later the connection counts as lost.
    troubles: ['slow', 'away'],
  },
} as const

interface Node extends TestServer {
  /** Of its admin port, without a final slash. */
  readonly admin: string
}

beforeEach((context) => {
  needs(context, 'curl', 'haproxy')
  needsRedis(context)
})

async function startNode(flags: readonly string[]): Promise<Node> {
  const server = await startServer(...flags, '--reservations', '--admin', '127.0.0.1:0')
  const [, admin = ''] = await server.untilStdout(/admin on (\S+)\n/)
  return { ...server, admin }
}

const textOf = async (url: string) => await (await fetch(url)).text()

/** A link as this node has it. */
const at = (node: Pick<Node, 'url'>, link: string) => node.url + new URL(link).pathname

const statusAt = async (node: Pick<Node, 'port'>, methodAndPath: string) =>
  await exchange(node.port, requestHead(methodAndPath))

/** The node has trouble of one of these kinds, and says so to who watches it; with none, it is well. */
async function untilInTrouble(nodes: readonly Node[], troubles: readonly string[], ms?: number) {
  const isSo = async ({ admin }: Node) => {
    const told = (await textOf(`${admin}/metrics`)).matchAll(
      /^ess_cluster_store_trouble\{trouble="(\w+)"\} 1$/gm,
    )
    const now = [...told].map(([, trouble]) => trouble ?? '')
    const ready = await textOf(`${admin}/ready`)
    return troubles.length === 0
      ? now.length === 0 && ready === 'ready\n'
      : now.some((one) => troubles.includes(one)) && /^degraded: /.test(ready)
  }
  await until(
    `the nodes say: ${troubles.join(' or ') || 'well'}`,
    async () => (await Promise.all(nodes.map(isSo))).every(Boolean),
    ms,
  )
}

async function reserve(node: Node): Promise<{ readonly link: string; readonly upload: string }> {
  const { body } = await statusAt(node, 'POST /reserve')
  const [link = '', upload = ''] = body.split('\n')
  return { link, upload }
}

describe.each(Object.entries(TROUBLES))('while Redis %s', (_what, { goes, comes, troubles }) => {
  test('transfers end well, links find their nodes, and afterwards all is as before', async () => {
    const redis = await startRedis()
    const flags = await clusterFlags(redis.url)
    const nodes = await Promise.all([startNode(flags), startNode(flags), startNode(flags)])
    const [home, other, third] = nodes
    await untilInTrouble(nodes, [])
    const { port } = await startBalancer(nodes.map((node) => node.port))
    const balanced = { url: `http://127.0.0.1:${port}` }
    const path = `${await tempDir()}/file`
    const sha256 = await writeFileOf(path, SIZE)
    const whole = async (sender: Sender, receiver: Receiver) => {
      await expectReceived(receiver)
      await expectDelivered(sender, SIZE)
      expect(await sha256OfFile(receiver.path)).toBe(sha256)
    }

    const running: (readonly [Sender, Receiver])[] = []
    for (const tool of TOOLS) {
      const sender = await startSender(tool, balanced, 'held')
      const receiver = await connectReceiver(tool === 'ess' ? 'curl' : 'ess', sender)
      sender.stdin.write(Buffer.alloc(SIZE / 2))
      await untilReceiving(receiver)
      running.push([sender, receiver])
    }
    const before = []
    for (const tool of [...TOOLS, ...TOOLS]) before.push(await startSender(tool, balanced, { file: path }))
    const reserved = await reserve(home)

    await goes(redis)
    await untilInTrouble(nodes, troubles)
    const stranger = await startNode(flags)

    // What runs, ends; what waits, is found by the tag of its node, at every node.
    for (const [sender, receiver] of running) {
      sender.stdin.end(Buffer.alloc(SIZE / 2))
      await expectReceived(receiver)
      await expectDelivered(sender, SIZE)
    }
    for (const sender of before.splice(0, 2)) await whole(sender, await startReceiver('curl', sender.url))
    // What is opened now works, at its own node and by those that know it.
    const own = await startSender('ess', home, { file: path })
    await whole(own, await startReceiver('ess', own.url))
    const known = await startSender('curl', home, { file: path })
    await whole(known, await startReceiver('ess', at(third, known.url)))
    const during = await startSender('ess', home, { file: path })
    const unknown = await startSender('curl', stranger, { file: path })
    const unknownToo = await startSender('curl', stranger, { file: path })
    await whole(unknown, await startReceiver('curl', unknown.url))
    // What can't be known isn't denied.
    for (const target of [
      `GET ${new URL(unknownToo.url).pathname}`,
      `GET ${new URL(reserved.upload).pathname}/events`,
      'GET /abcdefghijkl',
    ]) {
      const answer = await statusAt(other, target)
      expect([target, answer.status, answer.headers['retry-after']]).toEqual([target, 503, '5'])
    }

    await comes(redis)
    const all = [...nodes, stranger]
    await untilInTrouble(all, [], HEALED_MS)
    // Every node finds what was opened before, meanwhile, and elsewhere.
    const links = [...before, during, unknownToo].map(({ url }) => new URL(url).pathname)
    for (const node of all) {
      for (const link of links)
        await until(
          `${link} is found again`,
          async () => (await statusAt(node, `HEAD ${link}`)).status === 200,
          HEALED_MS,
        )
      await until(
        'the upload resource is found again',
        async () => (await statusAt(node, `HEAD ${new URL(reserved.upload).pathname}`)).status !== 503,
        HEALED_MS,
      )
      await until(
        'what is not there is denied again',
        async () => (await statusAt(node, 'GET /abcdefghijkl')).status === 404,
        HEALED_MS,
      )
    }
    for (const sender of [...before, during])
      await whole(sender, await startReceiver('ess', at(other, sender.url)))
    await whole(unknownToo, await startReceiver('curl', at(third, unknownToo.url)))
    const after = await startSender('ess', balanced, { file: path })
    await whole(after, await startReceiver('curl', after.url))
  }, 120_000)
})
