import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { EmbeddedService } from '../../server/index.js'
import { parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { until } from '../helpers/within.js'
import { chunk, eventsOf, expectSenderFailed, LAST_CHUNK, senderHead } from '../server/serve.js'
import { HOSTS } from './hosts.js'
import { listenTo, peersOf, UNKNOWN } from './peers-of.js'

const JSON_WANTED = { Accept: 'application/json' }

describe.each(HOSTS)('$name', ({ path, scheme, isHttp2, start }) => {
  const base = `${scheme}://localhost${path}`

  const { open, ask, connect } = peersOf(path)

  async function expectTold(service: EmbeddedService | undefined, told: string[], expected: string[]) {
    if (service === undefined) return
    await until('the last event is told', () => told.length >= expected.length)
    expect(told).toEqual(expected)
    expect(service.counts().sockets).toBe(0)
  }

  test.each([
    ['of known length', { length: 5 }, 'hello'],
    ['in chunks', {}, chunk('hello') + LAST_CHUNK],
    ['that expects a 100', { length: 5, headers: { Expect: '100-continue' } }, 'hello'],
  ])('a body %s is delivered, and the URL carries the path', async (_kind, request, body) => {
    const { port, service } = await start()
    const told = listenTo(service)
    const sender = await open(port, request)
    expect(sender.url).toBe(`${base}/${sender.id}/notes.txt`)
    expect(sender.text()).toContain(`\r\nLocation: ${sender.url}\r\n`)
    const interim = 'headers' in request ? ['HTTP/1.1 100 Continue'] : []
    const receiver = await connect(port, sender)
    await sender.write(body)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(parseAnswer(receiver.text())).toMatchObject({
      status: 200,
      body: 'hello',
      headers: {
        'content-disposition': 'attachment; filename="notes.txt"',
        'content-security-policy': "sandbox; default-src 'none'",
        'cross-origin-resource-policy': 'same-origin',
        connection: 'close',
      },
    })
    await sender.until(/"event":"delivered"/)
    // One 100 at most, and never after the head.
    expect(sender.text().match(/^HTTP\/1\.1 1\d\d.*$/gm) ?? []).toEqual(interim)
    expect(eventsOf(sender).at(-1)).toEqual({ event: 'delivered', bytes: 5, confirmed: true })
    await expectTold(service, told, ['opened', 'connected', 'end'])
  })

  test.each(['POST /', 'PUT /'])('%s opens a socket without a name', async (target) => {
    const { port } = await start()
    const sender = await open(port, { length: 0 }, target)
    expect(sender.url).toBe(`${base}/${sender.id}`)
  })

  test('a receiver lost midway fails the sender', async () => {
    const { port, service } = await start()
    const told = listenTo(service)
    const sender = await open(port)
    const receiver = await connect(port, sender)
    await sender.write(chunk('half'))
    await receiver.until(/half/)
    receiver.reset()
    await expectSenderFailed(sender, 'receiver-lost')
    await expectTold(service, told, ['opened', 'connected', 'receiver-lost'])
  })

  test('a sender lost midway resets the receiver', async () => {
    const { port, service } = await start()
    const told = listenTo(service)
    const sender = await open(port)
    const receiver = await connect(port, sender)
    await sender.write(chunk('half'))
    await receiver.until(/half/)
    sender.reset()
    expect(await receiver.ending()).toBe('rst')
    await expectTold(service, told, ['opened', 'connected', 'sender-lost'])
  })

  test.each([
    ['expired', { ttl: 0.1 }, ['opened', 'timeout'], false],
    ['stalled', { stallTimeout: 0.3 }, ['opened', 'connected', 'stalled'], true],
    ['too-large', { maxUploadBytes: 3 }, ['opened', 'connected', 'too-large'], true],
  ] as const)('%s is told', async (code, options, events, connects) => {
    const { port, service } = await start(options)
    const told = listenTo(service)
    const sender = await open(port)
    if (connects) await connect(port, sender)
    if (code === 'too-large') await sender.write(chunk('hello'))
    await expectSenderFailed(sender, code)
    await expectTold(service, told, [...events])
  })

  test.each([
    ['GET', '/a/b/c', {}, 404],
    ['GET', `/${UNKNOWN}/name`, {}, 404],
    ['HEAD', `/${UNKNOWN}`, {}, 404],
    ['POST', `/${UNKNOWN}`, {}, 404],
    ['GET', `/${UNKNOWN}?wait=0.05`, {}, 404],
    ['GET', `/${UNKNOWN}?wait=soon`, {}, 400],
    ['PATCH', `/${UNKNOWN}`, {}, 405],
    ['DELETE', `/${UNKNOWN}`, {}, 404],
    ['PATCH', '/', {}, 405],
    ['POST', '/?ttl=0', {}, 400],
    ['POST', '/', { 'Content-Length': '6' }, 413],
    ['POST', '/', { 'Content-Encoding': 'gzip', 'Content-Length': '1' }, 415],
    ['POST', '/', { 'Content-Range': 'bytes 0-1/2', 'Content-Length': '1' }, 400],
    ['POST', '/', { 'Content-Type': 'multipart/form-data', 'Content-Length': '1' }, 400],
    ['POST', '/', { Via: '1.1 caddy', 'Transfer-Encoding': 'chunked' }, 411],
    ['GET', `/${UNKNOWN}`, { Range: 'bytes=5-' }, 404],
    ['GET', `/${UNKNOWN}?wait=60`, { Range: 'bytes=5-' }, 404],
    ['GET', `/${UNKNOWN}`, { 'Sec-Purpose': 'prefetch' }, 403],
    ['DELETE', '/uploads/none', {}, 404],
    ['HEAD', '/uploads/none', {}, 404],
    ['GET', '/uploads/none/events', {}, 404],
    ['PUT', '/uploads/none', { 'Content-Length': '1' }, 404],
  ] as const)('%s %s %j is refused with %i', async (method, place, headers, status) => {
    // By HTTP/2, Go's proxies pass on all of it.
    if (isHttp2 && status === 411) return
    const { port } = await start({ maxUploadBytes: 5 })
    const answer = await ask(port, `${method} ${place}`, headers)
    expect(answer.status).toBe(status)
    if (method !== 'HEAD' && place !== '/a/b/c') expect(answer.body).toMatch(/^[A-Z].+\. \[[a-z-]+\]\n$/s)
  })

  test('HEAD, busy, and gone', async () => {
    const { port } = await start()
    const sender = await open(port, { length: 5 })
    expect(await ask(port, `HEAD /${sender.id}/any`)).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '5' },
    })
    const receiver = await connect(port, sender)
    expect(await ask(port, `GET /${sender.id}`)).toMatchObject({
      status: 409,
      body: expect.stringMatching(/ \[busy\]\n$/),
    })
    await sender.write('hello')
    await receiver.ending()
    receiver.end()
    await sender.until(/"delivered"/)
    expect(await ask(port, `GET /${sender.id}`)).toMatchObject({
      status: 410,
      body: expect.stringMatching(/ \[gone\]\n$/),
    })
  })

  test('HEAD writes nothing to the console', async () => {
    const written = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => written.mockRestore())
    const { port } = await start()
    const { id } = await open(port, { length: 5 })
    for (const [place, status] of [
      [id, 200],
      [UNKNOWN, 404],
    ] as const)
      expect((await ask(port, `HEAD /${place}`)).status).toBe(status)
    expect(written.mock.calls).toEqual([])
  })

  test('a full server says so', async () => {
    const { port } = await start({ maxSockets: 1 })
    await open(port)
    expect(await ask(port, 'POST /', { 'Content-Length': '0' })).toMatchObject({
      status: 503,
      headers: { 'retry-after': '30' },
    })
  })

  test('a page, usage, health and a preflight', async () => {
    const { port } = await start()
    const sender = await open(port, { length: 5 })
    const page = await ask(port, `GET /${sender.id}`, BROWSER)
    expect(page).toMatchObject({ status: 406, headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(page.body).toContain(sender.url)
    expect((await ask(port, 'GET /')).body).toContain(`curl -NT file.iso ${base}/\n`)
    expect(await ask(port, 'GET /health')).toMatchObject({
      status: 200,
      body: expect.stringMatching(
        /^\{"status":"ok","relay":"(?:streams|sockets|splice)","version":"[\d.]+"\}$/,
      ),
    })
    expect(await ask(port, `OPTIONS /${sender.id}`)).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-origin': '*' },
    })
  })

  test('a form is streamed', async () => {
    const { port } = await start()
    const form = '--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'
    const peer = await connectRaw(port)
    const type = { 'Content-Type': 'multipart/form-data; boundary=b' }
    await peer.write(senderHead({ target: `POST ${path}/`, length: form.length, headers: type }) + form)
    const [, id = ''] = await peer.until(/"id":"([^"]+)"/)
    expect(await ask(port, `POST /${id}`)).toMatchObject({
      body: 'hello',
      headers: { 'content-length': '5', 'content-disposition': 'attachment; filename="a.txt"' },
    })
    await peer.until(/"delivered"/)
  })

  test('a reservation is followed, used, and answered at the end', async () => {
    const { port, service } = await start()
    const told = listenTo(service)
    const reserved = await ask(port, 'POST /reserve', JSON_WANTED)
    // Its members are looked at next.
    const { id, url, upload, events } = JSON.parse(reserved.body) as Record<string, string>
    expect(url).toBe(`${base}/${id}`)
    expect(upload).toMatch(new RegExp(`^${base}/uploads/[\\w-]{22}$`))
    expect(events).toBe(`${upload}/events`)
    const place = new URL(upload ?? '').pathname.slice(path.length)

    const follower = await connectRaw(port)
    await follower.write(requestHead(`GET ${path}${place}/events`, { Accept: 'application/x-ndjson' }))
    await follower.until(/"reserved"/)
    const receiver = ask(port, `GET /${id}`)
    const sender = await connectRaw(port)
    await sender.write(`${requestHead(`PUT ${path}${place}`, { 'Content-Length': '5' })}hello`)
    expect(await receiver).toMatchObject({ status: 200, body: 'hello' })
    await sender.ending()
    expect(parseAnswer(sender.text())).toMatchObject({ status: 200, body: '# delivered: 5 bytes\n' })
    await follower.until(/"delivered".*0\r\n\r\n$/s)
    await expectTold(service, told, ['reserved', 'opened', 'connected', 'end'])
  })

  test('DELETE cancels, and the sender is told', async () => {
    const { port, service } = await start()
    const told = listenTo(service)
    const sender = await open(port)
    expect((await ask(port, `DELETE ${sender.upload}`)).status).toBe(204)
    await expectSenderFailed(sender, 'cancelled')
    await expectTold(service, told, ['opened', 'cancelled'])
  })
})
