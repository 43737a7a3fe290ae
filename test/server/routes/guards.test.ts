import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { brokerOf } from '../../../server/embed.js'
import { createService } from '../../../server/index.js'
import { createRequestListener } from '../../../server/routes/listener.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'

const UNKNOWN = '/abcdefghijkl'

const CROSS_SITE = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }
const PREFETCH = { 'Sec-Purpose': 'prefetch' }
const ALLOWED = { 'X-Key': 'right' }

/** Asks a service that has every guard, by its handler or by the Hono routes alone, and gives the code of the refusal. */
async function open(
  door: 'direct' | 'routes',
): Promise<(target: string, ...heads: object[]) => Promise<string>> {
  const service = createService({
    authorize: (_access, { headers }) => headers['x-key'] === 'right',
    corsOrigins: ['https://page.example'],
    reservations: true,
    maxMissesPerClient: 1,
  })
  const routes = createRequestListener(service.app, brokerOf(service))
  const server = createServer(door === 'direct' ? service.handler : routes)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    service.stopNow()
    server.close()
  })
  // A server that listens on TCP has this kind of address.
  const { port } = server.address() as AddressInfo
  return async (target, ...heads) => {
    const headers = { Accept: 'application/json', ...Object.assign({}, ...heads) }
    const { body } = await exchange(port, requestHead(target, headers))
    const { type } = JSON.parse(body) as { type: string }
    return type.replace('urn:ess:problem:', '')
  }
}

describe.each(['direct', 'routes'] as const)(
  'at the door %s, a request that fails several guards is refused by the first:',
  (door) => {
    test('a receiver: access, misses, prefetch, cross-site', async () => {
      const ask = await open(door)
      const link = `GET ${UNKNOWN}`
      expect(await ask(link, PREFETCH, CROSS_SITE)).toBe('unauthorized')
      expect(await ask(link, PREFETCH, CROSS_SITE, ALLOWED)).toBe('prefetch')
      expect(await ask(link, CROSS_SITE, ALLOWED)).toBe('cross-site')
      expect(await ask(link, ALLOWED)).toBe('not-found')
      expect(await ask(link, PREFETCH, CROSS_SITE, ALLOWED)).toBe('too-many-requests')
      expect(await ask(link, PREFETCH, CROSS_SITE)).toBe('unauthorized')
    })

    test('a receiver that stops for good: access, misses, cross-site', async () => {
      const ask = await open(door)
      const stop = `DELETE ${UNKNOWN}`
      expect(await ask(stop, CROSS_SITE)).toBe('unauthorized')
      expect(await ask(stop, CROSS_SITE, ALLOWED)).toBe('cross-site')
      expect(await ask(stop, ALLOWED)).toBe('not-found')
      expect(await ask(stop, ALLOWED)).toBe('too-many-requests')
    })

    test('a sender: access, prefetch, cross-site, body', async () => {
      const ask = await open(door)
      const body = { 'Content-Length': '0', 'Content-Encoding': 'gzip' }
      expect(await ask('POST /', body, CROSS_SITE)).toBe('unauthorized')
      expect(await ask('POST /', body, CROSS_SITE, ALLOWED)).toBe('cross-site')
      expect(await ask('POST /', body, ALLOWED)).toBe('unsupported-media-type')
      expect(await ask('GET /reserve', PREFETCH, CROSS_SITE)).toBe('unauthorized')
      expect(await ask('GET /reserve', PREFETCH, CROSS_SITE, ALLOWED)).toBe('prefetch')
      expect(await ask('GET /reserve', CROSS_SITE, ALLOWED)).toBe('cross-site')
    })

    test('an upload resource: misses, and no access', async () => {
      const ask = await open(door)
      const upload = 'PUT /uploads/none'
      expect(await ask(upload, { 'Content-Length': '0' })).toBe('not-found')
      for (const target of [
        upload,
        'PATCH /uploads/none',
        'DELETE /uploads/none',
        'GET /uploads/none/events',
      ])
        expect(await ask(target, { 'Content-Length': '0' })).toBe('too-many-requests')
    })

    test('a method that the address does not take: none of them', async () => {
      const ask = await open(door)
      for (const target of ['DELETE /', 'DELETE /reserve', `PATCH ${UNKNOWN}`, 'GET /uploads/none'])
        expect(await ask(target)).toBe('method-not-allowed')
    })
  },
)
