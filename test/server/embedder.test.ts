import { EventEmitter, once } from 'node:events'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createService, type ErrorAnswer, type ServiceOptions } from '../../server/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { until } from '../helpers/within.js'
import {
  chunk,
  connectReceiver,
  eventsOf,
  expectSenderFailed,
  LAST_CHUNK,
  openSender,
  senderHead,
  serve,
  untilEnded,
} from './serve.js'

test('listeners that throw or reject break nothing, and are told of as error:listener', async () => {
  const served = await serve()
  const failures: unknown[] = []
  const heard: string[] = []
  served.service.on('error:listener', (error, event) => failures.push([event, String(error)]))
  served.service.on('socket:opened', () => {
    throw new Error('thrown')
  })
  served.service.on('socket:opened', () => heard.push('socket:opened'))
  // An emitter takes any function, and an async one is what many write.
  served.service.on('socket:connected', async () => {
    throw new Error('rejected')
  })
  served.service.on('socket:end', () => {
    throw new Error('thrown late')
  })
  const sender = await openSender(served.port, { length: 5 })
  const receiver = await connectReceiver(served.port, sender)
  await sender.write('hello')
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  await sender.until(/"delivered"/)
  await untilEnded(served)
  expect(heard).toEqual(['socket:opened'])
  expect(failures).toEqual([
    ['socket:opened', 'Error: thrown'],
    ['socket:connected', 'Error: rejected'],
    ['socket:end', 'Error: thrown late'],
  ])
})

test("a listener's failure that no one handles becomes a warning of the process", async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  onTestFinished(() => warned.mockRestore())
  const served = await serve()
  served.service.on('socket:opened', () => {
    throw new Error('unheard')
  })
  await openSender(served.port)
  expect(warned.mock.calls.map(([warning]) => String(warning))).toEqual(['Error: unheard'])
})

test('a listener by once hears once', async () => {
  const served = await serve()
  let times = 0
  served.service.once('socket:opened', () => void times++)
  await openSender(served.port)
  await openSender(served.port)
  expect(times).toBe(1)
})

test('the opening tells the id and the query of the request', async () => {
  const served = await serve()
  const seen: unknown[] = []
  served.service.on('socket:opened', (socket, id, query) => seen.push([socket.id, id, query.get('for')]))
  const { id } = await openSender(served.port, { target: 'POST /?for=me' })
  expect(seen).toEqual([[id, id, 'me']])
})

test.each([
  ['error:not-found', 'not-found', requestHead('GET /abcdefghijkl')],
  ['error:max-upload', 'too-large', senderHead({ length: 5 })],
] as const)('%s is told with its request', async (event, code, request) => {
  const { port, service } = await serve({ maxUploadBytes: 4 })
  const seen: unknown[] = []
  service.on(event, (error, { method }) => seen.push([error.code, method]))
  await exchange(port, request)
  expect(seen).toEqual([[code, request.split(' ')[0]]])
})

test('progress is told at most four times a second, and only when it has changed', async () => {
  const served = await serve()
  const seen: { bytes: number; atMs: number }[] = []
  served.service.on('socket:progress', (_socket, bytes) => seen.push({ bytes, atMs: performance.now() }))
  const sender = await openSender(served.port)
  await connectReceiver(served.port, sender)
  for (let piece = 1; piece <= 3; piece++) {
    for (let part = 0; part < 20; part++) await sender.write(chunk('x'))
    await until(`piece ${piece} is told`, () => seen.at(-1)?.bytes === 20 * piece)
  }
  const bytes = seen.map((event) => event.bytes)
  expect(bytes).toEqual([...new Set(bytes)].sort((one, other) => one - other))
  // Sixty writes, and not as many events: each piece takes two at most.
  expect(seen.length).toBeLessThanOrEqual(6)
})

test('renderStatus speaks in place of the built-in words, in the form that readers rely on', async () => {
  const words: ServiceOptions['renderStatus'] = (event, socket) => {
    if (event.event === 'opened') return `für ${socket.fileName ?? 'alle'}\nnochmal`
    if (event.event === 'connected') throw new Error('no words')
    return event.event === 'delivered' ? 'angekommen' : undefined
  }
  const served = await serve({ renderStatus: words })
  const failures: string[] = []
  served.service.on('error:listener', (_error, name) => failures.push(name))
  const peer = await connectRaw(served.port)
  await peer.write(senderHead({ target: 'PUT /x', headers: { Accept: '*/*' } }))
  const [, id] = await peer.until(/http:\/\/localhost\/([^/]+)\/x\n.*nochmal/s)
  const receiver = await connectRaw(served.port)
  await receiver.write(requestHead(`GET /${id}`))
  await peer.until(/# receiver connected\n/)
  await peer.write(chunk('hello') + LAST_CHUNK)
  await receiver.ending()
  receiver.end()
  await peer.until(/0\r\n\r\n$/)
  const lines = Buffer.from(parseAnswer(peer.text()).body, 'latin1').toString().trimEnd().split('\n')
  expect(lines[0]).toBe(`http://localhost/${id}/x`)
  expect(lines.slice(1)).toEqual(
    expect.arrayContaining(['# nochmal', '# receiver connected', '# angekommen']),
  )
  expect(lines.slice(1).filter((line) => !line.startsWith('# '))).toEqual([])
  expect(failures).toEqual(['renderStatus'])
})

test.each<[string, ErrorAnswer | undefined, object]>([
  [
    'own answer',
    { status: 418, headers: { 'X-Own': 'yes' }, body: 'nein\n' },
    { status: 418, body: 'nein\n', headers: { 'x-own': 'yes', 'content-length': '5' } },
  ],
  ['own words', { body: 'nein\n' }, { status: 404, body: 'nein\n' }],
  [
    'silence, for the built-in one',
    undefined,
    { status: 404, body: expect.stringMatching(/ \[not-found\]\n$/) },
  ],
])('onError may give its %s', async (_what, answer, expected) => {
  const { port } = await serve({ onError: (error) => (error.code === 'not-found' ? answer : undefined) })
  expect(await exchange(port, requestHead('GET /abcdefghijkl'))).toMatchObject(expected)
})

test('onError does not speak to programs that ask for the problem', async () => {
  const { port } = await serve({ onError: () => ({ body: 'nein\n' }) })
  const Accept = 'application/x-ndjson, application/problem+json'
  const answer = await exchange(port, requestHead('GET /abcdefghijkl', { Accept }))
  expect(JSON.parse(answer.body)).toMatchObject({ type: 'urn:ess:problem:not-found' })
})

test('cancel ends a socket from outside, and both sides are told', async () => {
  const served = await serve()
  const sender = await openSender(served.port, { length: 5 })
  const receiver = await connectReceiver(served.port, sender)
  await sender.write('he')
  await receiver.until(/he$/)
  expect(served.service.cancel(sender.id)).toBe(true)
  expect(await receiver.ending()).toBe('rst')
  await expectSenderFailed(
    sender,
    'cancelled',
    /^The server cancelled this transfer, so its link no longer works\.$/,
  )
  expect(served.service.cancel(sender.id)).toBe(false)
  expect(served.service.cancel('abcdefghijkl')).toBe(false)
})

test('cancel with a signal waits for it', async () => {
  const served = await serve()
  const sender = await openSender(served.port)
  const controller = new AbortController()
  expect(served.service.cancel(sender.id, controller.signal)).toBe(true)
  expect(served.service.sockets()).toMatchObject([{ phase: 'waiting' }])
  controller.abort()
  await expectSenderFailed(sender, 'cancelled')
  const other = await openSender(served.port)
  served.service.cancel(other.id, AbortSignal.abort())
  await expectSenderFailed(other, 'cancelled')
})

test('the sockets are shown with their ids cut, unless they are asked for', async () => {
  const { port, service } = await serve()
  const { id } = await openSender(port, { target: 'PUT /a.txt', length: 5 })
  const shown = { phase: 'waiting', fileName: 'a.txt', contentLength: 5 }
  const [cut] = service.sockets()
  expect(cut).toEqual({
    ...shown,
    id: `${id.slice(0, 4)}…`,
    openedAt: expect.any(Number),
    ageMs: expect.any(Number),
    expiresAt: (cut?.openedAt ?? 0) + 600_000,
  })
  expect(JSON.stringify(service.sockets())).not.toContain(id)
  expect(service.sockets({ ids: true })).toMatchObject([{ ...shown, id }])
})

test('close lets what runs finish, and tells those who wait', async () => {
  const served = await serve()
  const waiting = await openSender(served.port)
  const running = await openSender(served.port, { length: 5 })
  const receiver = await connectReceiver(served.port, running)
  const closed = served.service.close({ drain: 60 })
  await expectSenderFailed(waiting, 'shutting-down')
  await running.write('hello')
  await receiver.ending()
  receiver.end()
  await running.until(/"delivered"/)
  await closed
  expect(eventsOf(running).at(-1)).toMatchObject({ event: 'delivered' })
  expect(served.service.isAccepting).toBe(false)
})

test('a verb that asks for no access cannot be reached, even without types', async () => {
  const { service, broker } = await serve()
  const guarded = ['open', 'upload', 'receive', 'follow', 'reserve', 'inspect', 'cancelUpload', 'options']
  expect(guarded.filter((name) => name in broker)).toEqual(guarded)
  expect(guarded.filter((name) => name in service)).toEqual([])
  expect(service.on('socket:end', () => undefined).off('socket:end', () => undefined)).toBe(service)
})

test('it is an emitter: listeners come once, go again, and are found', async () => {
  const { port, service } = await serve()
  const told: string[] = []
  const gone = () => told.push('gone')
  service.on('request:refused', gone).once('request:refused', ({ code }) => told.push(code))
  service.off('request:refused', gone)
  const awaited = once(service, 'request:refused')
  for (const _ of [1, 2]) await exchange(port, requestHead('GET /abcdefghijkl'))
  expect(told).toEqual(['not-found'])
  expect(await awaited).toMatchObject([{ code: 'not-found' }, { url: '/abcdefghijkl' }])
  expect(service).toBeInstanceOf(EventEmitter)
})

test('two services in one process do not meet', async () => {
  const [one, other] = [await serve(), await serve()]
  const sender = await openSender(one.port)
  expect((await exchange(other.port, requestHead(`GET /${sender.id}`))).status).toBe(404)
  expect(other.service.cancel(sender.id)).toBe(false)
  expect(other.opened).toEqual([])
})

test.each<[object, string]>([
  [
    { proxyHidesCuts: true },
    'Where "proxyHidesCuts" is true, "reservations" must be true: senders get their link no other way. Set it to true.',
  ],
  [
    { earlyResponse: false },
    'Where "earlyResponse" is false, "reservations" must be true: senders get their link no other way. Set it to true.',
  ],
  [
    { requiredReferer: 'example.org' },
    '"requiredReferer" must be an http or https URL without credentials, query or fragment, not "example.org".',
  ],
  [{ ids: { pattern: 'x', generate: () => 'x' } }, '"ids.pattern" must be a regular expression, not "x".'],
  [{ ids: { pattern: /x/ } }, '"ids.generate" must be a function, not undefined'],
])('the options %j are refused', (options, words) => {
  // What a caller without types might give.
  expect(() => createService(options as ServiceOptions)).toThrow(words)
})

test("an embedder's own ids are the whole of the routes'", async () => {
  const drawn = ['not one', 'x-2', 'x-2']
  const { port } = await serve({ ids: { pattern: /x-\d/g, generate: () => drawn.shift() ?? 'x-3' } })
  const sender = await openSender(port, { length: 2 })
  expect(sender.id).toBe('x-2')
  expect((await openSender(port)).id).toBe('x-3')
  await sender.write('ok')
  expect((await exchange(port, requestHead('GET /x-22'))).status).toBe(404)
  expect(await exchange(port, requestHead('GET /x-2'))).toMatchObject({ status: 200, body: 'ok' })
})

test.each(['no match', 'x-1'])(
  'a generator that gives nothing but %j is a clear error, to its owner',
  async (id) => {
    const { port, service } = await serve({ ids: { pattern: /x-\d/, generate: () => id } })
    const causes: string[] = []
    service.on('request:refused', ({ cause }) => causes.push(String(cause)))
    if (id === 'x-1') await openSender(port)
    const answer = await exchange(port, senderHead({ length: 0 }))
    expect(answer).toMatchObject({ status: 500, body: expect.not.stringContaining('generate') })
    expect(causes).toEqual([
      'Error: ids.generate gave no free id that matches ids.pattern in 10 tries. Make it draw from more ids.',
    ])
  },
)
