import { readdir, readFile, writeFile } from 'node:fs/promises'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { bytesOf } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectCutOff,
  expectDelivered,
  expectReceived,
  expectSenderCutOff,
  type Receiver,
  type Sender,
  startReceiver,
  startSender,
  untilReceiving,
} from '../helpers/peers.js'
import { connectRaw, type RawPeer, speakTls } from '../helpers/raw-peer.js'
import { NO_CLIENT_LIMITS } from '../helpers/start-server.js'
import { until } from '../helpers/within.js'
import { cpuTicksOf, shareOf, startWorkers, type WorkersServer } from '../helpers/workers.js'

beforeEach((context) => {
  if (process.platform !== 'linux') context.skip('reads /proc')
  needs(context, 'curl')
})

/** Opens a socket by the wire, and resolves with its sender and its link's path once that is there. */
async function openRaw(port: number, bytes: number): Promise<{ sender: RawPeer; path: string }> {
  const sender = await connectRaw(port)
  await sender.write(requestHead('POST /', { 'Content-Length': String(bytes) }))
  const [, path = ''] = await sender.until(/https?:\/\/[^/]+(\/[\w-]+)/)
  return { sender, path }
}

/** The value of one metric, with its labels as they are written. */
async function metric(adminPort: number, name: string): Promise<number> {
  const { body } = await exchange(adminPort, requestHead('GET /metrics'))
  const line = body.split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1))
}

async function adminPortOf(server: WorkersServer): Promise<number> {
  const [, port] = await server.untilStdout(/^admin on http:\/\/127\.0\.0\.1:(\d+)\n/m)
  return Number(port)
}

describe('transfers spread over both workers', () => {
  const MIB = 1024 * 1024

  test.each(['plain', 'TLS'])('over %s: each takes its share of the CPU', async (scheme) => {
    const isTls = scheme === 'TLS'
    const { path, keyPath } = isTls ? await certificate() : { path: '', keyPath: '' }
    const server = await startWorkers(
      ...NO_CLIENT_LIMITS,
      // The gear whose work is in the worker's own threads, not in the kernel's.
      ...['--relay', 'streams'],
      ...(isTls ? ['--tls-cert', path, '--tls-key', keyPath] : []),
    )
    if (isTls) speakTls(server.port)
    const workers = await server.untilWorkers(2)
    const before = await Promise.all(workers.map(cpuTicksOf))
    const body = bytesOf(MIB)
    const transfer = async () => {
      const parts = isTls ? 12 : 24
      const { sender, path: link } = await openRaw(server.port, parts * MIB)
      const receiver = await connectRaw(server.port)
      await receiver.write(requestHead(`GET ${link}`))
      for (let part = 0; part < parts; part++) await sender.write(body, 60_000)
      expect(await receiver.ending(60_000)).toBe('fin')
      receiver.end()
      await sender.until(/delivered: /, 60_000)
      sender.reset()
      return receiver.text().length
    }
    const got = await Promise.all(Array.from({ length: 20 }, transfer))
    expect(Math.min(...got)).toBeGreaterThan((isTls ? 12 : 24) * MIB)
    const after = await Promise.all(workers.map(cpuTicksOf))
    const took = after.map((ticks, index) => ticks - (before[index] ?? 0))
    for (const ticks of took) {
      expect(shareOf(ticks, took)).toBeGreaterThan(0.35)
      expect(shareOf(ticks, took)).toBeLessThan(0.65)
    }
  })

  test('and connections that only wait are as many on each', async () => {
    const server = await startWorkers(...NO_CLIENT_LIMITS)
    const workers = await server.untilWorkers(2)
    const before = await Promise.all(workers.map(descriptorsOf))
    for (let count = 0; count < 20; count++) await openRaw(server.port, 10)
    const after = await Promise.all(workers.map(descriptorsOf))
    expect(after.map((count, index) => count - (before[index] ?? 0))).toEqual([10, 10])
  })
})

describe('a worker killed midway', () => {
  interface Pair {
    readonly sender: Sender
    readonly receiver: Receiver
  }

  async function startPair(server: WorkersServer): Promise<Pair> {
    const sender = await startSender('curl', server, 'held')
    const receiver = await connectReceiver('curl', sender)
    sender.stdin.write(bytesOf(1_000_000))
    await untilReceiving(receiver)
    return { sender, receiver }
  }

  test("cuts its own transfers on both sides; the other's go on, its links work, and a new one is started", async () => {
    const server = await startWorkers()
    const workers = await server.untilWorkers(2)
    // The second sender goes to the other worker, because the first has more connections.
    const one = await startPair(server)
    const other = await startPair(server)
    const waiting = [await startSender('curl', server, 'held'), await startSender('curl', server, 'held')]
    const [killed = 0] = workers
    process.kill(killed, 'SIGKILL')
    const pairs = [one, other]
    const cut = await until('one sender is cut', () => pairs.find(({ sender }) => hasEnded(sender)))
    const goesOn = pairs.find((pair) => pair !== cut) ?? other
    await expectCutOff(cut.receiver)
    await expectSenderCutOff(cut.sender)
    // The parent knows of the end by now, or a moment later: what can't be reached is 503 until then.
    await until('the link is over', async () => {
      const { status } = await exchange(server.port, requestHead(`GET ${new URL(cut.sender.url).pathname}`))
      expect([410, 503]).toContain(status)
      return status === 410
    })

    goesOn.sender.stdin.end(bytesOf(1_000_000))
    await expectReceived(goesOn.receiver)
    await expectDelivered(goesOn.sender, 2_000_000)
    expect((await readFile(goesOn.receiver.path)).length).toBe(2_000_000)

    const [alive] = waiting.filter((sender) => !hasEnded(sender))
    if (alive === undefined) throw new Error('Both waiting senders were cut')
    const receiver = await startReceiver('curl', alive.url)
    await alive.untilStdout(/"connected"/)
    alive.stdin.end(bytesOf(10))
    await expectReceived(receiver)
    await expectDelivered(alive, 10)

    await server.untilWorkers(2, [killed])
    await server.untilStderr(/a worker died \(SIGKILL\); another one is started/)
    for (let count = 0; count < 4; count++) {
      const sender = await startSender('curl', server, 'held')
      const late = await connectReceiver('curl', sender)
      sender.stdin.end(bytesOf(10))
      await expectReceived(late)
      await expectDelivered(sender, 10)
    }
    expect(await server.stop()).toMatchObject({ code: 0, signal: null })
  })

  function hasEnded({ pid }: Sender): boolean {
    try {
      process.kill(pid, 0)
      return false
    } catch {
      // There is no such process any more.
      return true
    }
  }

  test('again and again is started again, each time later', async () => {
    const server = await startWorkers()
    let killed = await server.untilWorkers(2)
    for (const pause of [/in 100 ms/, /in 200 ms/, /in 400 ms/]) {
      const [first = 0] = killed
      process.kill(first, 'SIGKILL')
      await server.untilStderr(pause)
      killed = await server.untilWorkers(2, [first])
      // Until it serves, its death would be one at its start all the same.
      await until(
        'the port answers',
        async () => (await exchange(server.port, requestHead('GET /health'))).status === 200,
      )
    }
    expect(await server.stop()).toMatchObject({ code: 0 })
  })

  test('leaves no client counted: what it held can be had again', async () => {
    const server = await startWorkers('--max-sockets-per-client', '2')
    const workers = await server.untilWorkers(2)
    await openRaw(server.port, 10)
    await openRaw(server.port, 10)
    expect(await isRefused(server)).toBe(true)
    process.kill(workers[0] ?? 0, 'SIGKILL')
    await until('a share is free', async () => !(await isRefused(server)))
  })
})

/** Tries to open a socket, and ends it again. */
async function isRefused({ port }: WorkersServer): Promise<boolean> {
  const sender = await connectRaw(port)
  await sender.write(requestHead('POST /', { 'Content-Length': '10' }))
  const [, status] = await sender.until(/^HTTP\/1\.1 (\d+)/)
  sender.reset()
  return status === '429'
}

describe('a limit per client is the whole machine’s', () => {
  test('for sockets', async () => {
    const server = await startWorkers('--max-sockets-per-client', '3')
    const opened = [
      await openRaw(server.port, 10),
      await openRaw(server.port, 10),
      await openRaw(server.port, 10),
    ]
    // One of them has one socket, and refuses all the same, as soon as it has heard of the others.
    await until('a worker refuses', () => isRefused(server))
    await until('the other one refuses', () => isRefused(server))
    opened[0]?.sender.reset()
    await until('there is room again', async () => !(await isRefused(server)))
  })

  test('for reservations and waiting receivers', async () => {
    const server = await startWorkers(
      ...['--reservations', '--max-reservations-per-client', '2', '--max-waiting-per-client', '2'],
    )
    const reserve = () => exchange(server.port, requestHead('POST /reserve', { 'Content-Length': '0' }))
    expect((await reserve()).status).toBe(201)
    expect((await reserve()).status).toBe(201)
    await until('no more reservations', async () => (await reserve()).status === 429)
    for (const id of ['AAAAAAAAAAAA', 'BBBBBBBBBBBB']) {
      const receiver = await connectRaw(server.port)
      await receiver.write(requestHead(`GET /${id}?wait=60`))
    }
    await until('no more waiting', async () => {
      const { status } = await exchange(server.port, requestHead('GET /CCCCCCCCCCCC?wait=1'))
      return status === 429
    })
  })

  test('for misses', async () => {
    const server = await startWorkers('--max-misses-per-client', '6')
    const ask = async () => (await exchange(server.port, requestHead('GET /AAAAAAAAAAAA'))).status
    const answers: number[] = []
    await until('both workers refuse', async () => {
      answers.push(await ask())
      return answers.slice(-4).every((status) => status === 429) && answers.length >= 4
    })
    // At most one more on each, while the news was on its way.
    expect(answers.filter((status) => status === 404).length).toBeLessThanOrEqual(8)
    expect(answers.filter((status) => status === 404).length).toBeGreaterThanOrEqual(6)
  })

  test('for connections', async () => {
    const server = await startWorkers('--max-connections-per-client', '3')
    const peers = [
      await openRaw(server.port, 10),
      await openRaw(server.port, 10),
      await openRaw(server.port, 10),
    ]
    const one = await connectRaw(server.port)
    await one.until(/^HTTP\/1\.1 429 .*\[over-share\]/s)
    peers[0]?.sender.reset()
    await until('a connection is free', async () => {
      const answer = await exchange(server.port, requestHead('GET /health')).catch(() => undefined)
      return answer?.status === 200
    })
  })
})

/** Reserves a link; `upload` is the path of its upload resource. */
async function reserve({ port }: WorkersServer): Promise<{ id: string; upload: string }> {
  const head = requestHead('POST /reserve', { 'Content-Length': '0', Accept: 'application/json' })
  const { body } = await exchange(port, head)
  const { id, upload } = JSON.parse(body) as { id: string; upload: string }
  return { id, upload: new URL(upload).pathname }
}

describe('a request at the wrong worker', () => {
  test('waits there for the sender of its reservation', async () => {
    const server = await startWorkers('--reservations', ...NO_CLIENT_LIMITS)
    for (let count = 0; count < 4; count++) {
      const { id, upload } = await reserve(server)
      const receiver = await connectRaw(server.port)
      await receiver.write(requestHead(`GET /${id}?wait=30`))
      const sender = await connectRaw(server.port)
      await sender.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '5' })}hello`)
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      expect(receiver.text()).toMatch(/\r\n\r\nhello$/)
      await sender.until(/^HTTP\/1\.1 200 .*delivered/s)
    }
  })

  test.each([
    ['with a body of known length', { 'Content-Length': '5' }, 'hello'],
    ['with a chunked body', { 'Transfer-Encoding': 'chunked' }, '5\r\nhello\r\n0\r\n\r\n'],
  ])('%s comes to its reservation', async (_name, headers, body) => {
    const server = await startWorkers('--reservations', ...NO_CLIENT_LIMITS)
    for (let count = 0; count < 4; count++) {
      const { id, upload } = await reserve(server)
      const sender = await connectRaw(server.port)
      await sender.write(requestHead(`PUT ${upload}`, headers) + body)
      const receiver = await exchange(server.port, requestHead(`GET /${id}`))
      expect(receiver.body).toBe('hello')
      await sender.until(/^HTTP\/1\.1 200 .*delivered/s)
    }
  })

  test('with a large body comes to its reservation without losing a byte', async () => {
    const server = await startWorkers('--reservations', ...NO_CLIENT_LIMITS)
    const body = bytesOf(4_000_000)
    for (let count = 0; count < 6; count++) {
      const { id, upload } = await reserve(server)
      const sender = await connectRaw(server.port)
      await sender.write(requestHead(`PUT ${upload}`, { 'Content-Length': String(body.length) }))
      await sender.write(body.subarray(0, 200_000))
      const receiver = await connectRaw(server.port)
      await receiver.write(requestHead(`GET /${id}`))
      await sender.write(body.subarray(200_000))
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      const got = Buffer.from(receiver.text(), 'latin1')
      expect(Buffer.compare(got.subarray(got.indexOf('\r\n\r\n') + 4), body)).toBe(0)
      await sender.until(/^HTTP\/1\.1 200 .*delivered/s)
    }
  })
})

describe('the operator', () => {
  test('sees one page of metrics for all workers, which a death does not set back', async () => {
    const server = await startWorkers('--admin', '127.0.0.1:0')
    const admin = await adminPortOf(server)
    const workers = await server.untilWorkers(2)
    for (let count = 0; count < 6; count++) {
      const sender = await startSender('curl', server, 'held')
      const receiver = await connectReceiver('curl', sender)
      sender.stdin.end(bytesOf(1000))
      await expectReceived(receiver)
      await expectDelivered(sender, 1000)
    }
    const relayed = () => metric(admin, 'ess_relayed_bytes_total')
    await until('all bytes are counted', async () => (await relayed()) === 6000)
    expect(await metric(admin, 'ess_waiting_seconds_count')).toBe(6)
    expect(await metric(admin, 'ess_sockets_limit')).toBe(10_000)
    expect(await metric(admin, 'ess_accepting')).toBe(1)
    expect(await metric(admin, 'ess_workers')).toBe(2)
    const { body } = await exchange(admin, requestHead('GET /metrics'))
    expect(body).toMatch(/^ess_build_info\{.*\} 1$/m)
    // Each metric once, with its type.
    const types = [...body.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name)
    expect(new Set(types).size).toBe(types.length)

    process.kill(workers[0] ?? 0, 'SIGKILL')
    await until(
      'a worker was started again',
      async () => (await metric(admin, 'ess_worker_restarts_total')) === 1,
    )
    expect(await relayed()).toBe(6000)
    await until('both serve', async () => (await metric(admin, 'ess_workers')) === 2)
    expect((await exchange(admin, requestHead('GET /ready'))).status).toBe(200)
  })

  test('has lines of the same form as for one worker, and no more of them', async () => {
    const server = await startWorkers('--log', 'json', '--admin', '127.0.0.1:0')
    await adminPortOf(server)
    const sender = await startSender('curl', server, 'held')
    const receiver = await connectReceiver('curl', sender)
    sender.stdin.end(bytesOf(1000))
    await expectReceived(receiver)
    await expectDelivered(sender, 1000)
    await server.untilStderr(/"ended"/)
    const { code, stdout, stderr } = await server.stop()
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(/^listening on \S+\nadmin on \S+\n$/)
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; socket?: string })
    expect(lines.map(({ msg }) => msg.replace(/;.*| by .*/, ''))).toEqual([
      'relay',
      'opened',
      'receiver connected',
      'ended',
      'stopping',
    ])
    const sockets = lines.flatMap(({ socket }) => socket ?? [])
    expect(new Set(sockets).size).toBe(1)
  })

  test('reloads tokens and certificate for all workers by SIGHUP', async () => {
    const { path, keyPath } = await certificate()
    const tokens = `${path}.tokens`
    await writeFile(tokens, 'the-first-token-of-all\n', { mode: 0o600 })
    const server = await startWorkers('--tls-cert', path, '--tls-key', keyPath, '--send-tokens', tokens)
    speakTls(server.port)
    const statusFor = async (token: string) => {
      const peer = await connectRaw(server.port)
      await peer.write(requestHead('POST /', { 'Content-Length': '10', Authorization: `Bearer ${token}` }))
      const [, status] = await peer.until(/^HTTP\/1\.1 (\d+)/)
      peer.reset()
      return status
    }
    for (let count = 0; count < 2; count++) expect(await statusFor('the-first-token-of-all')).toBe('201')
    await writeFile(tokens, 'the-second-token-of-all\n', { mode: 0o600 })
    server.signal('SIGHUP')
    await server.untilStderr(/--send-tokens read again: 1 token\b/)
    await server.untilStderr(/certificate read again/)
    for (let count = 0; count < 2; count++) {
      await until(
        'the new token is taken',
        async () => (await statusFor('the-second-token-of-all')) === '201',
      )
      expect(await statusFor('the-first-token-of-all')).toBe('401')
    }
    expect(server.stderr().match(/read again/g)).toHaveLength(2)
  })
})

test('workers end with a parent that is killed, and their transfers are cut', async () => {
  const server = await startWorkers()
  const workers = await server.untilWorkers(2)
  onTestFinished(() => {
    for (const pid of workers) killIfThere(pid)
  })
  const sender = await startSender('curl', server, 'held')
  const receiver = await connectReceiver('curl', sender)
  sender.stdin.write(bytesOf(1_000_000))
  await untilReceiving(receiver)
  await server.stop('SIGKILL')
  await expectCutOff(receiver)
  await until('no worker is left', async () => (await Promise.all(workers.map(isThere))).every((is) => !is))
})

async function isThere(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'X) Z')
  return !/\) Z/.test(stat)
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended, as it should.
  }
}

async function descriptorsOf(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}
