import { expect, onTestFinished, test } from 'vitest'
import { createService, type ListenOptions, listen, type ServiceOptions } from '../../../server/index.js'
import { certificate } from '../../helpers/certificate.js'
import { parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { needs } from '../../helpers/needs.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

/** A service of its own, and the codes of what it refused. */
async function serveFew(most: number, options: ServiceOptions = {}, more: ListenOptions = {}) {
  const service = createService(options)
  const refused: string[] = []
  service.on('request:refused', ({ code }, { socket }) => refused.push(`${code} ${socket.remoteAddress}`))
  const server = await listen(service, { port: 0, maxConnectionsPerClient: most, ...more })
  onTestFinished(() => within(DEADLINE_MS, 'the server stops', server.stopNow()))
  return { port: server.port, refused }
}

/** A connection that is served, and stays. */
async function connectAndAsk(port: number) {
  const peer = await connectRaw(port)
  await peer.write(requestHead('GET /health', { Connection: 'keep-alive' }))
  await peer.until(/^HTTP\/1\.1 200 .*\}$/s)
  return peer
}

test('a connection beyond those of one client is told so, and one that goes makes room', async () => {
  const { port, refused } = await serveFew(2)
  const first = await connectAndAsk(port)
  // It has said nothing yet: that counts as well.
  const second = await connectRaw(port)
  const third = await connectRaw(port)
  expect(await third.ending()).toBe('fin')
  expect(parseAnswer(third.text())).toMatchObject({
    status: 429,
    headers: { 'retry-after': '30', connection: 'close' },
    body: 'You already have 2 connections here, the most for one client. Close one of them first. Try again in 30 s. [over-share]\n',
  })
  expect(refused).toEqual(['over-share 127.0.0.1'])
  first.reset()
  await until('there is room again', async () => {
    const peer = await connectRaw(port)
    await peer.write(requestHead('GET /health', { Connection: 'close' }))
    await peer.ending()
    return parseAnswer(peer.text()).status === 200
  })
  await second.write(requestHead('GET /health'))
  await second.until(/^HTTP\/1\.1 200 /)
})

test('those of a proxy that is trusted are not counted', async () => {
  const { port, refused } = await serveFew(1, { trustProxy: ['loopback'] })
  for (let count = 0; count < 3; count++) await connectAndAsk(port)
  expect(refused).toEqual([])
})

test('0 is no limit', async () => {
  const { port } = await serveFew(0)
  for (let count = 0; count < 3; count++) await connectAndAsk(port)
})

test('with TLS, a connection too many is closed before the handshake', async (context) => {
  needs(context, 'openssl')
  const { path: certFile, keyPath: keyFile } = await certificate()
  const { port, refused } = await serveFew(1, {}, { tls: { certFile, keyFile } })
  await connectRaw(port)
  const peer = await connectRaw(port)
  expect(await peer.ending()).toBe('fin')
  expect(peer.text()).toBe('')
  expect(refused).toEqual(['over-share 127.0.0.1'])
})

test.each([-1, 1.5, Number.NaN])('%s is no number of connections', async (most) => {
  await expect(listen(createService(), { port: 0, maxConnectionsPerClient: most })).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('"maxConnectionsPerClient" must be a whole number of connections'),
  })
})
