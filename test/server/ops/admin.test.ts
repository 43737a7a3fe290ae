import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openRedisLocator } from '../../../server/locator/redis.js'
import { type Admin, listenAdmin } from '../../../server/ops/admin.js'
import { parseAdminAddress } from '../../../server/ops/admin-address.js'
import { clusterFigures } from '../../../server/ops/cluster-figures.js'
import { GEARS } from '../../../server/relay/gears/pump.js'
import { type Answer, exchange, requestHead } from '../../helpers/http-exchange.js'
import { readPage } from '../../helpers/markdown.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { startServer } from '../../helpers/start-server.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'
import { connectReceiver, expectSenderFailed, openSender, type Served, serve, untilEnded } from '../serve.js'

interface Observed extends Served {
  readonly admin: Admin
  ask(target: string): Promise<Answer>
  /** The value of one metric, with its labels as they are written; undefined when it is not there. */
  value(name: string): Promise<number | undefined>
}

/** A service with an admin listener; both are stopped when the test is over. */
async function observe(options?: Parameters<typeof serve>[0]): Promise<Observed> {
  const served = await serve(options)
  const admin = await listenAdmin(served.broker, { host: '127.0.0.1', port: 0 })
  admin.ready()
  onTestFinished(() => within(DEADLINE_MS, 'the admin listener closes', admin.close()))
  const ask = (target: string) => exchange(Number(new URL(admin.url).port), requestHead(target))
  const value = async (name: string) => {
    const { body } = await ask('GET /metrics')
    const line = body.split('\n').find((one) => one.startsWith(`${name} `))
    return line === undefined ? undefined : Number(line.slice(name.length + 1))
  }
  return { ...served, admin, ask, value }
}

describe('an address for --admin is', () => {
  test.each([
    ['127.0.0.1:9001', '127.0.0.1', 9001],
    ['localhost:0', 'localhost', 0],
    ['[::1]:65535', '::1', 65_535],
  ])('%s', (value, host, port) => {
    expect(parseAdminAddress(value)).toEqual({ host, port })
  })

  test.each([
    ['9001'],
    [':9001'],
    ['127.0.0.1'],
    ['::1:9001'],
    ['127.0.0.1:65536'],
    ['http://127.0.0.1:9001'],
  ])('not %s', (value) => {
    expect(() => parseAdminAddress(value)).toThrow(
      `--admin must be HOST:PORT, such as 127.0.0.1:9001, not "${value}".`,
    )
  })
})

describe('the admin listener', () => {
  test('answers GET and HEAD of its three pages, and nothing else', async () => {
    const { ask } = await observe()
    expect(await ask('GET /health')).toMatchObject({ status: 200, body: 'ok\n' })
    expect(await ask('GET /ready?now')).toMatchObject({ status: 200, body: 'ready\n' })
    expect(await ask('GET /metrics')).toMatchObject({
      status: 200,
      headers: { 'content-type': expect.stringMatching(/^text\/plain; version=0\.0\.4/) },
    })
    expect(await ask('POST /metrics')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
    expect(await ask('PUT /')).toMatchObject({ status: 404 })
    expect(await ask('GET /constructor')).toMatchObject({ status: 404 })
  })

  test('is not ready before the server listens, nor while it stops', async () => {
    const { broker } = await serve()
    const admin = await listenAdmin(broker, { host: '127.0.0.1', port: 0 })
    onTestFinished(() => within(DEADLINE_MS, 'the admin listener closes', admin.close()))
    const port = Number(new URL(admin.url).port)
    const ready = () => exchange(port, requestHead('GET /ready'))
    expect(await ready()).toMatchObject({ status: 503, body: 'starting\n' })
    admin.ready()
    expect(await ready()).toMatchObject({ status: 200 })
    await broker.stop(0)
    expect(await ready()).toMatchObject({ status: 503, body: 'stopping\n' })
    expect(await exchange(port, requestHead('GET /health'))).toMatchObject({ status: 200 })
  })

  test.each([
    ['127.0.0.1', true],
    ['::1', true],
    ['0.0.0.0', false],
  ])('on %s is private: %s', async (host, isPrivate) => {
    const { broker } = await serve()
    const admin = await listenAdmin(broker, { host, port: 0 })
    await within(DEADLINE_MS, 'the admin listener closes', admin.close())
    expect(admin.isPrivate).toBe(isPrivate)
  })
})

describe('the metrics', () => {
  test('count sockets by phase, as they are at that moment', async () => {
    const { port, value } = await observe({ reservations: true, maxSockets: 7 })
    const phases = () =>
      Promise.all(
        ['reserved', 'waiting', 'streaming', 'interrupted'].map((phase) =>
          value(`ess_sockets{phase="${phase}"}`),
        ),
      )
    expect(await phases()).toEqual([0, 0, 0, 0])
    await exchange(port, requestHead('POST /reserve', { 'Content-Length': '0' }))
    await openSender(port)
    const running = await openSender(port)
    await connectReceiver(port, running)
    const cut = await openSender(port, { length: 5, headers: { 'Ess-Resume': 'rewind' } })
    ;(await connectReceiver(port, cut)).reset()
    await cut.until(/"interrupted"/)
    expect(await phases()).toEqual([1, 1, 1, 1])
    expect(await value('ess_sockets_limit')).toBe(7)
    expect(await value('ess_accepting')).toBe(1)
  })

  test('count what is sent again after a cut, and how often that was', async () => {
    const served = await observe()
    const { port, value } = served
    const sender = await openSender(port, { length: 10, headers: { 'Ess-Resume': 'rewind' } })
    const receiver = await connectReceiver(port, sender)
    await sender.write('hello')
    await receiver.until(/hello$/)
    receiver.reset()
    await sender.until(/"interrupted"/)
    const back = await connectRaw(port)
    await back.write(requestHead(`GET /${sender.id}`, { Range: 'bytes=2-' }))
    const [, upload = ''] = await sender.until(/"rewind".*"upload":"http:\/\/localhost([^"]+)"/)
    const again = await connectRaw(port)
    await again.write(
      requestHead(`PATCH ${upload}`, {
        'Content-Type': 'application/partial-upload',
        'Content-Length': '8',
        'Upload-Offset': '2',
        'Upload-Complete': '?1',
      }),
    )
    await again.write('lloworld')
    await back.ending()
    back.end()
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: 10 }])
    expect(await value('ess_interruptions_total{side="receiver"}')).toBe(1)
    expect(await value('ess_resumptions_total')).toBe(1)
    expect(await value('ess_relayed_bytes_total')).toBe(5 + 8)
  })

  test('go on while the sender of such bytes is still away', async () => {
    const served = await observe()
    const { port, service, value } = served
    const failures: unknown[] = []
    service.on('error:listener', (error) => failures.push(error))
    const progress: number[] = []
    service.on('socket:progress', ({ contentLength }, bytes) => {
      if (contentLength === 10) progress.push(bytes)
    })
    const sender = await openSender(port, { length: 10, headers: { 'Ess-Resume': 'rewind' } })
    const receiver = await connectReceiver(port, sender)
    await sender.write('hello')
    await receiver.until(/hello$/)
    receiver.reset()
    await sender.until(/"interrupted"/)
    const back = await connectRaw(port)
    await back.write(requestHead(`GET /${sender.id}`, { Range: 'bytes=2-' }))
    await sender.until(/"rewind"/)
    // The progress of another transfer shows that time has passed: all of them are looked at together.
    const other = await openSender(port, { length: 30 })
    await connectReceiver(port, other)
    for (const bytes of [10, 20]) {
      await other.write('x'.repeat(10))
      await until(
        'the next bytes are counted',
        async () => (await value('ess_relayed_bytes_total')) === 5 + bytes,
      )
    }
    expect(failures).toEqual([])
    expect(progress).toEqual([5])
  })

  test('tell of a transfer: its outcome and gear, its bytes, and three times', async () => {
    const served = await observe()
    const sender = await openSender(served.port, { length: 5 })
    const receiver = await connectReceiver(served.port, sender)
    await sender.write('hello')
    await receiver.ending()
    receiver.end()
    const [{ gear, firstByteMs = -1 } = {}] = await untilEnded(served)
    expect(firstByteMs).toBeGreaterThanOrEqual(0)
    expect(await served.value(`ess_transfers_total{outcome="delivered",gear="${gear}"}`)).toBe(1)
    expect(await served.value('ess_relayed_bytes_total')).toBe(5)
    for (const name of ['ess_waiting_seconds', 'ess_first_byte_seconds', 'ess_transfer_duration_seconds'])
      expect(await served.value(`${name}_count`), name).toBe(1)
    expect(await served.value('ess_first_byte_seconds_sum')).toBeCloseTo(firstByteMs / 1000, 9)
  })

  test('show the bytes of a transfer while it runs, and each byte once', async () => {
    const served = await observe()
    const sender = await openSender(served.port, { length: 50_000 })
    const receiver = await connectReceiver(served.port, sender)
    await sender.write('x'.repeat(40_000))
    await until(
      'the first bytes are counted',
      async () => (await served.value('ess_relayed_bytes_total')) === 40_000,
    )
    await sender.write('x'.repeat(10_000))
    await receiver.ending()
    receiver.end()
    await untilEnded(served)
    expect(await served.value('ess_relayed_bytes_total')).toBe(50_000)
  })

  test('have no times of what no receiver came for, and none to the first byte where there was none', async () => {
    const served = await observe()
    const lonely = await openSender(served.port)
    lonely.reset()
    await untilEnded(served, 1)
    const silent = await openSender(served.port)
    const receiver = await connectReceiver(served.port, silent)
    receiver.reset()
    const [, { gear, firstByteMs } = {}] = await untilEnded(served, 2)
    expect(firstByteMs).toBeUndefined()
    expect(await served.value('ess_transfers_total{outcome="sender-lost",gear="none"}')).toBe(1)
    expect(await served.value(`ess_transfers_total{outcome="receiver-lost",gear="${gear}"}`)).toBe(1)
    expect(await served.value('ess_waiting_seconds_count')).toBe(1)
    expect(await served.value('ess_transfer_duration_seconds_count')).toBe(1)
    expect(await served.value('ess_first_byte_seconds_count')).toBe(0)
  })

  test('count refusals by code', async () => {
    const { port, value } = await observe()
    await exchange(port, requestHead('GET /abcdefghijkl'))
    await exchange(port, requestHead('GET /mnopqrstuvwx'))
    expect(await value('ess_refusals_total{code="not-found"}')).toBe(2)
    expect(await value('ess_refusals_total{code="gone"}')).toBeUndefined()
  })

  test('of what an alert is for are there before the first of it, which rate() would not see', async () => {
    const { value } = await observe()
    expect(await value('ess_refusals_total{code="internal-error"}')).toBe(0)
    for (const gear of GEARS)
      expect(await value(`ess_transfers_total{outcome="internal-error",gear="${gear}"}`)).toBe(0)
  })

  test('end in _total where they are counters, and nowhere else', async () => {
    const { ask } = await observe()
    const { body } = await ask('GET /metrics')
    const types = [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    expect(types.length).toBeGreaterThan(20)
    const wrong = types.filter(([, name = '', type]) => name.endsWith('_total') !== (type === 'counter'))
    expect(wrong.map(([line]) => line)).toEqual([])
  })

  test('of two services in one process are their own', async () => {
    const [one, other] = [await observe(), await observe()]
    await exchange(one.port, requestHead('GET /abcdefghijkl'))
    expect(await one.value('ess_refusals_total{code="not-found"}')).toBe(1)
    expect(await other.value('ess_refusals_total{code="not-found"}')).toBeUndefined()
  })
})

describe('ess-server --admin', () => {
  test('says where it is, stays while transfers drain, and goes with the server', async () => {
    const server = await startServer('--admin', '127.0.0.1:0', '--log', 'off')
    const [, adminPort] = await server.untilStdout(/^admin on http:\/\/127\.0\.0\.1:(\d+)\n/m)
    const ask = (page: string) => exchange(Number(adminPort), requestHead(`GET ${page}`))
    expect(await ask('/ready')).toMatchObject({ status: 200 })
    const sender = await openSender(server.port, { length: 5 })
    const receiver = await connectReceiver(server.port, sender)
    server.signal('SIGTERM')
    await until('it is not ready', async () => (await ask('/ready')).status === 503)
    expect((await ask('/metrics')).body).toContain('ess_sockets{phase="streaming"} 1\n')
    await sender.write('hello')
    await receiver.ending()
    receiver.end()
    expect(await server.ended()).toMatchObject({ code: 0, stderr: '' })
    await expect(connectRaw(Number(adminPort))).rejects.toThrow('ECONNREFUSED')
  })

  test('goes at once when it is told to stop twice', async () => {
    const server = await startServer('--admin', '127.0.0.1:0')
    const sender = await openSender(server.port)
    await connectReceiver(server.port, sender)
    server.signal('SIGTERM')
    await server.untilStderr(/stopping/)
    server.signal('SIGTERM')
    await expectSenderFailed(sender, 'shutting-down')
    sender.end()
    expect(await server.ended()).toMatchObject({ code: 1 })
  })

  test('warns of an address that other machines may reach', async () => {
    const server = await startServer('--admin', '0.0.0.0:0')
    await server.untilStderr(
      /^ess-server: warning: anyone who reaches http:\/\/0\.0\.0\.0:\d+ can read the metrics there\. .*\n/m,
    )
  })

  test('does not start where its port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await within(DEADLINE_MS, 'the other server listens', once(other, 'listening'))
    const address = other.address()
    const taken = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
    await expect(startServer('--admin', taken)).rejects.toThrow(
      `ess-server: Cannot listen on ${taken}: the port is in use. Stop the program that uses it, or choose another with --admin.`,
    )
  })
})

/** The names of those that only a node of a cluster has. No Redis is asked for them. */
async function metricsOfANode(): Promise<readonly string[]> {
  const place = { node: 'a', address: '127.0.0.1:1' }
  const locator = openRedisLocator({ place, redis: { url: 'redis://127.0.0.1:1' }, secret: 'of this test' })
  const figures = clusterFigures(locator, () => ({ now: 0, all: 0, unreached: 0 }))
  await locator.close()
  return figures.map(({ name }) => name)
}

describe('docs/grafana.json', () => {
  /** Metrics of ours that no panel shows, each with its reason. None so far. */
  const NOT_SHOWN: readonly string[] = []

  test('shows every metric of ours, and none that is not there', async () => {
    const dashboard = await readPage('docs/grafana.json')
    const { ask } = await observe()
    const { body } = await ask('GET /metrics')
    const exported = new Set([
      ...[...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name),
      ...(await metricsOfANode()),
    ])
    const named = [...dashboard.matchAll(/\b(?:ess|process|nodejs)_\w+/g)].map(([name]) =>
      exported.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, ''),
    )
    expect([...new Set(named)].filter((name) => !exported.has(name))).toEqual([])
    const own = [...exported].filter((name) => name.startsWith('ess_'))
    expect(own.length).toBeGreaterThan(10)
    expect(own.filter((name) => !named.includes(name))).toEqual(NOT_SHOWN)
  })

  test('asks who imports it for the data source, and every panel uses that', async () => {
    // What is looked at below, and not more.
    const { __inputs, panels } = JSON.parse(await readPage('docs/grafana.json')) as {
      __inputs: { name: string; pluginId: string }[]
      panels: { type: string; datasource?: { uid: string }; targets?: { datasource: { uid: string } }[] }[]
    }
    expect(__inputs).toMatchObject([{ name: 'DS_PROMETHEUS', type: 'datasource', pluginId: 'prometheus' }])
    const shown = panels.filter(({ type }) => type !== 'row')
    const sources = shown.flatMap(({ datasource, targets = [] }) => [
      datasource,
      ...targets.map((target) => target.datasource),
    ])
    expect(new Set(sources.map((source) => source?.uid))).toEqual(new Set([`$\{${__inputs[0]?.name}}`]))
  })
})
