import { describe, expect, test } from 'vitest'
import { freePort } from '../../helpers/free-port.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { needsRedis, startRedis } from '../../helpers/redis.js'
import { clusterFlags, secretFile } from '../../helpers/start-nodes.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { openSender } from '../serve.js'

const ADVICE =
  'Check --cluster (host, port, and rediss:// only where Redis speaks TLS), and that Redis runs and this machine reaches it.'

async function startNode(redisUrl: string) {
  return await startServerHere(...(await clusterFlags(redisUrl)))
}

describe('a node that starts without its Redis warns at once: where it is, the cause, and what to do', () => {
  test('a port at which nothing listens', async () => {
    const port = await freePort()
    const node = await startNode(`redis://somebody:hunter2@127.0.0.1:${port}`)
    await node.untilStderr(/in trouble.*\n/)
    expect(node.stderr()).toContain(
      `WARN: Redis at 127.0.0.1:${port} is in trouble (away): connect ECONNREFUSED 127.0.0.1:${port}. ${ADVICE}\n`,
    )
    expect(node.stderr()).not.toContain('hunter2')
  })

  test('a name that no name server knows', async () => {
    const node = await startNode('redis://nowhere.invalid')
    await node.untilStderr(/in trouble.*\n/)
    expect(node.stderr()).toMatch(
      /WARN: Redis at nowhere\.invalid:6379 is in trouble \(away\): getaddrinfo E\w+ nowhere\.invalid\. Check --cluster /,
    )
  })

  test('no password, and a wrong one', async (context) => {
    needsRedis(context)
    const { port } = await startRedis('--requirepass', 'hunter2')
    const without = await startNode(`redis://127.0.0.1:${port}`)
    await without.untilStderr(/in trouble.*\n/)
    expect(without.stderr()).toContain(
      `WARN: Redis at 127.0.0.1:${port} is in trouble (refuses): NOAUTH, it was given no password. Give --cluster-password-file.\n`,
    )
    const wrong = await startNode(`redis://:swordfish@127.0.0.1:${port}`)
    await wrong.untilStderr(/in trouble.*\n/)
    expect(wrong.stderr()).toMatch(/\(refuses\): WRONGPASS .* check --cluster-password-file,/)
    expect(wrong.stderr()).not.toContain('swordfish')
  })

  test('TLS to a port that has none', async (context) => {
    needsRedis(context)
    const { port } = await startRedis()
    const node = await startNode(`rediss://127.0.0.1:${port}`)
    await node.untilStderr(/in trouble.*\n/)
    expect(node.stderr()).toMatch(
      new RegExp(`WARN: Redis at 127\\.0\\.0\\.1:${port} is in trouble \\(away\\): .*rediss:// only where`),
    )
  })
})

test('the log names the nodes whenever they change; one of another secret sees itself alone', async (context) => {
  needsRedis(context)
  const { url } = await startRedis()
  const flags = await clusterFlags(url)
  const first = await startServerHere(...flags)
  await first.untilStderr(/INFO: cluster: 1 node: \S+ at 127\.0\.0\.1:\d+\n/)
  const second = await startServerHere(...flags)
  await second.untilStderr(/INFO: cluster: 2 nodes: \S+ at 127\.0\.0\.1:\d+, \S+ at 127\.0\.0\.1:\d+\n/)
  await first.untilStderr(/INFO: cluster: 2 nodes: /)
  const stranger = await startServerHere(
    ...(await clusterFlags(url)).slice(0, -1),
    await secretFile('another secret, which another cluster has'),
  )
  await stranger.untilStderr(/INFO: cluster: 1 node: /)
  await second.stop()
  await first.untilStderr(/cluster: 2 nodes: [\s\S]*cluster: 1 node: /)
  expect(first.stderr().match(/cluster: /g)).toHaveLength(3)
})

test('a refusal names the node that could not be reached, its address, and why', async (context) => {
  needsRedis(context)
  const flags = await clusterFlags((await startRedis()).url)
  const port = await freePort()
  const home = await startServerHere(...flags, '--cluster-address', `127.0.0.1:${port}`)
  const [, name] = await home.untilStderr(/cluster: 1 node: (\S+) at/)
  const other = await startServerHere(...flags, '--log', 'json')
  await other.untilStderr(/cluster: 2 nodes/)
  const sender = await openSender(home.port, { length: 5 })
  expect((await exchange(other.port, requestHead(`GET /${sender.id}`))).status).toBe(503)
  const [line] = await other.untilStderr(/.*"refused".*/)
  expect(JSON.parse(line)).toMatchObject({
    code: 'node-away',
    node: name,
    address: `127.0.0.1:${port}`,
    why: `connect ECONNREFUSED 127.0.0.1:${port}`,
  })
})

test('two nodes that differ in --cluster-tls carry for each other, and each says once what to do', async (context) => {
  needsRedis(context)
  const flags = await clusterFlags((await startRedis()).url)
  const inTls = await startServerHere(...flags, '--cluster-tls')
  const [, ofTls] = await inTls.untilStderr(/cluster: 1 node: (\S+) at/)
  const plain = await startServerHere(...flags)
  const [, ...names] = await inTls.untilStderr(/cluster: 2 nodes: (\S+) at \S+, (\S+) at/)
  const ofPlain = names.find((name) => name !== ofTls)
  await plain.untilStderr(/cluster: 2 nodes/)
  for (const [home, other] of [
    [inTls, plain],
    [plain, inTls],
  ] as const) {
    const sender = await openSender(home.port, { length: 5 })
    for (let times = 0; times < 2; times++)
      expect((await exchange(other.port, requestHead(`HEAD /${sender.id}`))).status).toBe(200)
  }
  const warningsOf = (node: typeof plain) => node.stderr().match(/WARN: .*--cluster-tls.*/g)
  expect(warningsOf(inTls)).toEqual([
    `WARN: ${ofPlain} runs without --cluster-tls. Bytes between it and this node are encrypted, and those between it and others without the option are not. Start it with --cluster-tls.`,
  ])
  expect(warningsOf(plain)).toEqual([
    `WARN: ${ofTls} runs with --cluster-tls, and this node without. Bytes between the two are encrypted, and those between this node and others without the option are not. Start this node with --cluster-tls, too.`,
  ])
})
