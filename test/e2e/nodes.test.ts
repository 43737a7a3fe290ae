import { readdir, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { requestHead } from '../helpers/http-exchange.js'
import { readPage } from '../helpers/markdown.js'
import { needs } from '../helpers/needs.js'
import { socketsOf } from '../helpers/own-sockets.js'
import {
  connectReceiver,
  expectCutOff,
  expectDelivered,
  expectReceived,
  expectSenderFailed,
  PAIRS,
  sparseFile,
  startReceiver,
  startSender,
  untilReceiving,
} from '../helpers/peers.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { needsRedis, startRedis } from '../helpers/redis.js'
import { run } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { clusterFlags, secretFile } from '../helpers/start-nodes.js'
import { startMeasured, startServer, type TestServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'

const SIZE = 20_000_000

beforeEach((context) => {
  needs(context, 'curl', 'wget')
  needsRedis(context)
})

/** Starts real servers, each a process, as nodes of one cluster. */
async function startNodes(
  count: number,
  redisUrl: string,
  ...flags: readonly string[]
): Promise<TestServer[]> {
  const cluster = await clusterFlags(redisUrl)
  return await Promise.all(Array.from({ length: count }, () => startServer(...cluster, ...flags)))
}

/** A link as another node has it. */
function at(node: { readonly url: string }, url: string): string {
  return node.url + new URL(url).pathname
}

async function fileOf(size: number): Promise<{ readonly path: string; readonly sha256: string }> {
  const path = `${await tempDir()}/file`
  return { path, sha256: await writeFileOf(path, size) }
}

describe.each(PAIRS)('from $sender at one node to $receiver at another', (pair) => {
  test.each(['known', 'unknown'] as const)('a file of %s length arrives whole', async (length) => {
    const [home, other] = await startNodes(2, (await startRedis()).url)
    if (home === undefined || other === undefined) throw new Error('Expected two nodes')
    for (const size of [0, 1, SIZE]) {
      const { path, sha256 } = await fileOf(size)
      const sender = await startSender(
        pair.sender,
        home,
        length === 'known' ? { file: path } : { pipe: path },
      )
      const receiver = await startReceiver(pair.receiver, at(other, sender.url))
      await expectReceived(receiver)
      await expectDelivered(sender, size)
      expect(await sha256OfFile(receiver.path)).toBe(sha256)
    }
  })

  test('a receiver that is killed is lost, and so is a sender', async () => {
    const [home, other] = await startNodes(2, (await startRedis()).url)
    if (home === undefined || other === undefined) throw new Error('Expected two nodes')
    for (const whose of ['receiver', 'sender'] as const) {
      const sender = await startSender(pair.sender, home, 'held')
      const receiver = await connectReceiver(pair.receiver, { ...sender, url: at(other, sender.url) })
      sender.stdin.write(Buffer.alloc(1_000_000))
      await untilReceiving(receiver)
      if (whose === 'receiver') {
        receiver.kill('SIGKILL')
        await expectSenderFailed(sender, 'receiver-lost')
      } else {
        sender.kill('SIGKILL')
        await expectCutOff(receiver)
      }
    }
  })

  test('a node that is killed while it carries is told as a lost receiver', async () => {
    const [home, other] = await startNodes(2, (await startRedis()).url)
    if (home === undefined || other === undefined) throw new Error('Expected two nodes')
    const sender = await startSender(pair.sender, home, 'held')
    const receiver = await connectReceiver(pair.receiver, { ...sender, url: at(other, sender.url) })
    sender.stdin.write(Buffer.alloc(1_000_000))
    await untilReceiving(receiver)
    other.signal('SIGKILL')
    await expectSenderFailed(sender, 'receiver-lost')
    expect((await receiver.ended()).code).not.toBe(0)
  })
})

test('a node that is killed behind the last byte has not confirmed it for its receiver', async () => {
  const [home, other] = await startNodes(2, (await startRedis()).url)
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const { path } = await fileOf(300_000)
  const sender = await startSender('curl', home, { file: path })
  // All of the file is in the kernels between the node and this receiver, which reads none of it.
  const receiver = await connectRaw(other.port, { paused: true })
  await receiver.write(requestHead(`GET ${new URL(sender.url).pathname}`))
  await until('the node has passed on the file, and its end', async () => {
    const sockets = await socketsOf(other.pid)
    return sockets.some(({ port, hasEnded }) => port === other.port && hasEnded)
  })
  other.signal('SIGKILL')
  await expectSenderFailed(sender, 'receiver-lost')
})

test.each([
  ['of known length', (path: string) => ['-T', path]],
  ['of unknown length', () => ['-T', '-']],
  ['that waits for a 100', (path: string) => ['-H', 'Expect: 100-continue', '-T', path]],
  ['of unknown length that waits for a 100', () => ['-H', 'Expect: 100-continue', '-T', '-']],
] as const)('an upload %s reaches a reservation of another node', async (_what, args) => {
  const [home, other] = await startNodes(2, (await startRedis()).url, '--reservations')
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const { path, sha256 } = await fileOf(SIZE)
  const reserved = await (await runCurl(['-sS', '-X', 'POST', `${home.url}/reserve`])).ended()
  const [url = '', upload = ''] = reserved.stdout.toString().split('\n')
  const sender = await runCurl(['-sS', '--fail-with-body', ...args(path), at(other, upload)], {
    stdin: { file: path },
  })
  const receiver = await startReceiver('curl', at(other, url))
  await expectReceived(receiver)
  const { code, stdout } = await sender.ended()
  expect(stdout.toString()).toMatch(/delivered/)
  expect(code).toBe(0)
  expect(await sha256OfFile(receiver.path)).toBe(sha256)
})

test.each([
  ['wget', ['--no-config', '-q', '-t', '1', '-O']],
  // A request with a chunked body is asked anew.
  ['curl', ['-q', '-sS', '-X', 'GET', '-H', 'Transfer-Encoding: chunked', '-d', 'x', '-o']],
])('%s fails when the node of its file is killed, and so does a sender', async (program, args) => {
  const [home, other] = await startNodes(2, (await startRedis()).url, '--reservations')
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const { path } = await fileOf(SIZE)
  const reserved = await (await runCurl(['-sS', '-X', 'POST', `${home.url}/reserve`])).ended()
  const [, upload = ''] = reserved.stdout.toString().split('\n')
  const uploading = await runCurl(['-sS', '--fail-with-body', '-T', path, at(other, upload)])
  const sender = await connectRaw(home.port)
  await sender.write(requestHead('PUT /', { 'Transfer-Encoding': 'chunked' }))
  const [, url = ''] = await sender.until(/\r\n(http:\S+)\n/)
  const received = join(await tempDir(), 'received')
  const receiver = await run(program, program, [...args, received, at(other, url)])
  await sender.until(/# receiver connected/)
  // Between two chunks, wget notices the end of a connection; in the middle of one it doesn't.
  await sender.write(`fffff\r\n${'x'.repeat(1_000_000)}`)
  await until('it writes its first bytes', async () => {
    const sizes = (await readdir(dirname(received))).map(async () => (await stat(received)).size)
    return (await Promise.all(sizes)).some((size) => size > 0)
  })
  home.signal('SIGKILL')
  expect((await receiver.ended()).code).not.toBe(0)
  expect((await uploading.ended()).code).not.toBe(0)
})

test.each(['download', 'upload'] as const)(
  'the %s that is carried to a slow receiver costs neither node memory',
  async (what) => {
    const cluster = await clusterFlags((await startRedis()).url)
    const [home, other] = await Promise.all([
      startMeasured('--reservations', ...cluster),
      startMeasured('--reservations', ...cluster),
    ])
    const carry = async (size: number, args: readonly string[]) => {
      const file = await sparseFile(size)
      if (what === 'download') {
        const sender = await startSender('curl', home, { file })
        return { sender, receiver: await startReceiver('curl', at(other, sender.url), args) }
      }
      const reserved = await (await runCurl(['-sS', '-X', 'POST', `${home.url}/reserve`])).ended()
      const [url = '', upload = ''] = reserved.stdout.toString().split('\n')
      const sender = await runCurl(['-sS', '--fail-with-body', '-T', file, at(other, upload)])
      return { sender, receiver: await startReceiver('curl', url, args) }
    }
    const all = () => Promise.all([home, other].map((node) => node.residentBytes()))
    // One first: the memory of the code itself, loaded and compiled, is not the transfer's.
    const first = await carry(16 * 1024 * 1024, [])
    await expectReceived(first.receiver)
    await first.sender.ended()
    const before = await all()
    const { sender, receiver } = await carry(256 * 1024 * 1024, ['--limit-rate', '60M'])
    const ended = receiver.ended(50_000)
    let isOver = false
    const finish = () => {
      isOver = true
    }
    ended.then(finish, finish)
    const most = [...before]
    while (!isOver) {
      for (const [index, bytes] of (await all()).entries()) most[index] = Math.max(most[index] ?? 0, bytes)
      await delay(50)
    }
    await expectReceived(receiver)
    expect((await sender.ended()).code).toBe(0)
    for (const [index, bytes] of most.entries())
      expect((bytes - (before[index] ?? 0)) / 1024 / 1024).toBeLessThan(48)
  },
)

test('with Redis away, a link still finds its node', async () => {
  const redis = await startRedis()
  const [home, other] = await startNodes(2, redis.url)
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const { path, sha256 } = await fileOf(SIZE)
  const sender = await startSender('curl', home, { file: path })
  await redis.stop()
  const receiver = await startReceiver('curl', at(other, sender.url))
  await expectReceived(receiver)
  await expectDelivered(sender, SIZE)
  expect(await sha256OfFile(receiver.path)).toBe(sha256)
})

test('a node that listens on every address is reached at the one that it names', async () => {
  const { url } = await startRedis()
  const flags = ['--cluster', url, '--cluster-secret-file', await secretFile()]
  const home = await startServer(
    ...flags,
    '--cluster-listen',
    '0.0.0.0:0',
    '--cluster-address',
    '127.0.0.2:0',
  )
  const other = await startServer(...flags, '--cluster-listen', '127.0.0.1:0')
  await home.untilStdout(/^nodes on 127\.0\.0\.2:[1-9]\d*$/m)
  const { path, sha256 } = await fileOf(SIZE)
  const sender = await startSender('curl', home, { file: path })
  const receiver = await startReceiver('curl', at(other, sender.url))
  await expectReceived(receiver)
  await expectDelivered(sender, SIZE)
  expect(await sha256OfFile(receiver.path)).toBe(sha256)
})

test('a node with another secret carries nothing, and says that a part of the server is away', async () => {
  const { url } = await startRedis()
  const nodeOf = async (secret: string) => {
    const file = await secretFile(secret)
    return startServer('--cluster', url, '--cluster-listen', '127.0.0.1:0', '--cluster-secret-file', file)
  }
  const home = await nodeOf('one secret, which is long enough for this')
  const stranger = await nodeOf('another one, which is long enough as well')
  const sender = await startSender('curl', home, 'held')
  const answer = await runCurl(['-sS', '-o', '-', '-w', '%{http_code}', at(stranger, sender.url)])
  const { stdout } = await answer.ended()
  // Their records differ as well, so the link's own tag has to name the node; else it is unknown there.
  expect(stdout.toString()).toMatch(/(?:503|404)$/)
  expect((await (await runCurl(['-sS', '-I', sender.url])).ended()).stdout.toString()).toMatch(/ 200 /)
})

test('the metrics of a node say what it carries, and /ready that it is well', async () => {
  const [home, other] = await startNodes(2, (await startRedis()).url, '--admin', '127.0.0.1:0')
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const [, admin = ''] = await other.untilStdout(/admin on (\S+)\n/)
  const metrics = async () => await (await fetch(`${admin}/metrics`)).text()
  expect(await metrics()).toMatch(/^ess_cluster_carried_total 0$/m)
  const sender = await startSender('curl', home, 'held')
  const receiver = await connectReceiver('curl', { ...sender, url: at(other, sender.url) })
  expect(await metrics()).toMatch(/^ess_cluster_carrying 1$/m)
  sender.stdin.end('hello')
  await expectReceived(receiver)
  await expectDelivered(sender, 5)
  await until('nothing is carried', async () => /^ess_cluster_carrying 0$/m.test(await metrics()))
  expect(await metrics()).toMatch(/^ess_cluster_carried_total 1$/m)
})

test('a node that drains lets a request that it carries end', async () => {
  const [home, other] = await startNodes(2, (await startRedis()).url)
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const sender = await startSender('curl', home, 'held')
  const receiver = await connectReceiver('curl', { ...sender, url: at(other, sender.url) })
  sender.stdin.write(Buffer.alloc(1_000_000))
  await untilReceiving(receiver)
  other.signal('SIGTERM')
  await other.untilStderr(/stopping/)
  sender.stdin.end(Buffer.alloc(1_000_000))
  await expectReceived(receiver)
  await expectDelivered(sender, 2_000_000)
  expect((await other.ended()).code).toBe(0)
})

test('a program that writes to Redis can hide a link from the other nodes, and that is all', async () => {
  const redis = await startRedis()
  const [home, other, third] = await startNodes(3, redis.url)
  if (home === undefined || other === undefined || third === undefined)
    throw new Error('Expected three nodes')
  const { path, sha256 } = await fileOf(1000)
  const sender = await startSender('curl', home, { file: path })
  const statusAt = async (node: TestServer) => (await fetch(at(node, sender.url), { method: 'HEAD' })).status
  await until('the other node finds it', async () => (await statusAt(other)) === 200)
  const [record = ''] = (await redis.cli('--raw', 'keys', 'ess:socket:*')).split('\n')
  // Neither is in Redis: the id, the address of the sender, and the name of the file.
  expect(record).not.toContain(new URL(sender.url).pathname.slice(1, 13))

  await redis.cli('set', record, 'gone')
  expect([await statusAt(home), await statusAt(other)]).toEqual([200, 410])

  const [places = ''] = (await redis.cli('--raw', 'keys', 'ess:nodes:*:places')).split('\n')
  const lives = (await redis.cli('--raw', 'hgetall', places)).split('\n')
  const addressOf = async (node: TestServer) => (await node.untilStdout(/^nodes on (\S+)$/m))[1] ?? ''
  const thirdAddress = await addressOf(third)
  const thirdLife = lives[lives.findIndex((text) => text.includes(thirdAddress)) - 1] ?? ''
  await redis.cli('set', record, thirdLife)
  expect([await statusAt(home), await statusAt(other)]).toEqual([200, 404])

  // Its address for that of the sender's node: it can't prove that it has the secret, and is told nothing.
  const heard: Buffer[] = []
  const liar = createServer((connection) => {
    connection.on('error', () => undefined).on('data', (bytes: Buffer) => heard.push(bytes))
    connection.write(Buffer.concat([Buffer.from('ess-link 2\n'), Buffer.alloc(64)]))
  })
  onTestFinished(() => void liar.close())
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve))
  const { port } = liar.address() as AddressInfo
  await redis.cli('hset', places, 'a-life', `a-node 127.0.0.1:${port} 1`)
  await redis.cli('set', record, 'a-life')
  expect(await statusAt(other)).toBe(503)
  expect(Buffer.concat(heard).toString('latin1')).not.toContain(new URL(sender.url).pathname)

  await redis.cli('flushall')
  expect(await statusAt(other)).toBe(200)
  const receiver = await startReceiver('curl', at(other, sender.url))
  await expectReceived(receiver)
  await expectDelivered(sender, 1000)
  expect(await sha256OfFile(receiver.path)).toBe(sha256)
})

test("the nodes' port answers nothing but its greeting to a program without the secret", async () => {
  const node = await startServer(...(await clusterFlags((await startRedis()).url)))
  const [, address = ''] = await node.untilStdout(/^nodes on (\S+)$/m)
  const asked = await runCurl(['-sS', '--http0.9', '-o', '-', `http://${address}/`])
  const { stdout } = await asked.ended()
  expect(stdout.toString('latin1')).not.toMatch(/HTTP|Not Found|404/i)
  expect([0, 43]).toContain(stdout.length)
})

test('a client has as many transfers at all nodes together as it may have at one', async () => {
  const [home, other] = await startNodes(
    2,
    (await startRedis()).url,
    '--reservations',
    '--max-sockets-per-client',
    '1',
  )
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const sender = await startSender('curl', home, 'held')
  const reserve = async () => (await fetch(`${other.url}/reserve`, { method: 'POST' })).status
  await until('the other node knows', async () => (await reserve()) === 429)
  expect(await reserve()).toBe(429)
  sender.kill('SIGKILL')
  await sender.ended()
})

test('a user of Redis with the permissions of docs/operating.md is enough', async () => {
  const [, permissions = ''] = /`(~ess:\* &ess:\* [^`]+)`/.exec(await readPage('docs/operating.md')) ?? []
  const redis = await startRedis('--user', 'ess', 'on', '>password', ...permissions.split(' '))
  const [home, other] = await startNodes(2, redis.url.replace('redis://', 'redis://ess:password@'))
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const { path, sha256 } = await fileOf(1000)
  const sender = await startSender('ess', home, { file: path })
  const receiver = await startReceiver('ess', at(other, sender.url))
  await expectReceived(receiver)
  await expectDelivered(sender, 1000)
  expect(await sha256OfFile(receiver.path)).toBe(sha256)
  expect(await redis.cli('acl', 'log')).toBe('')
})

test('the password of Redis may be in a file', async () => {
  const { url } = await startRedis('--requirepass', 'p@ss word')
  const file = `${await tempDir()}/password`
  await writeFile(file, 'p@ss word\n', { mode: 0o600 })
  const [home, other] = await startNodes(2, url, '--cluster-password-file', file)
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  const { path, sha256 } = await fileOf(1000)
  const sender = await startSender('curl', home, { file: path })
  const receiver = await startReceiver('curl', at(other, sender.url))
  await expectReceived(receiver)
  expect(await sha256OfFile(receiver.path)).toBe(sha256)
})
