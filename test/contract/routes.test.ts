import { describe, expect, test } from 'vitest'
import type { Route } from '../../server/routes/addresses.js'
import { allowOf } from '../../server/routes/table.js'
import { ROUTES } from '../../shared/index.js'
import { HOST_WORDS, HOSTS } from './hosts.js'
import { peersOf, UNKNOWN } from './peers-of.js'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']

/** A path for each address, where nothing is; the compiler misses what is missing here. */
const PLACES: Readonly<Record<Route, string>> = {
  root: '/',
  health: '/health',
  reserve: '/reserve',
  clientPackage: '/ess.tgz',
  clientPackageOfVersion: ROUTES.clientPackageOfVersion,
  webAsset: '/web/LICENSES.txt',
  closedDownload: `/web/closed-download/${UNKNOWN}`,
  closedUpload: '/web/closed-upload/none',
  uploadResource: '/uploads/none',
  uploadEvents: '/uploads/none/events',
  download: `/${UNKNOWN}`,
  namedDownload: `/${UNKNOWN}/name`,
}

describe.each(HOSTS)('$name', ({ name, path, hasApp, start }) => {
  const { ask, say, open } = peersOf(path)

  test.each(Object.entries(PLACES))(
    '%s takes the methods of its Allow, and no other',
    async (route, place) => {
      const { port } = await start()
      // The keys of the table are routes.
      const allow = allowOf(route as Route)
      for (const method of METHODS) {
        // A sender's answer has no end as long as it waits.
        const peer = await say(port, `${method} ${place}`)
        const [head = '', status] = await peer.until(/^HTTP\/1\.1 (\d+) .*?\r\n\r\n/s)
        const isAllowed = allow.split(', ').includes(method)
        expect({ method, isAllowed: status !== '405' }).toEqual({ method, isAllowed })
        if (!isAllowed) expect(head).toContain(`\r\nAllow: ${allow}\r\n`)
      }
    },
  )

  test.skipIf(path === '')('without a final slash its root is the same', async () => {
    const { port } = await start()
    expect((await ask(port, 'GET ')).body).toContain(`curl -NT file.iso http://localhost${path}/\n`)
    for (const target of ['POST ', 'POST ?ttl=60'])
      expect((await open(port, { length: 0 }, target)).url).toContain(`http://localhost${path}/`)
  })

  // An app of Hono's own leaves such an address to its other routes.
  test.skipIf(name.startsWith('Hono'))(
    'a link may have a final slash, and no word with one is the root',
    async () => {
      const { port } = await start()
      const sender = await open(port, { length: 5 })
      await sender.write('hello')
      expect(await ask(port, `GET /${sender.id}/`)).toMatchObject({ status: 200, body: 'hello' })
      for (const place of ['/health/', '/reserve/', `/${UNKNOWN}/`])
        expect(await ask(port, `GET ${place}`), place).toMatchObject({ status: 404 })
    },
  )

  test.each([
    ['GET', '/about'],
    ['HEAD', '/about'],
    ['POST', '/about'],
    ['DELETE', '/about'],
    ['PATCH', '/about'],
    ['OPTIONS', '/about'],
    ['GET', '/about/us'],
    ['PUT', '/about/us'],
    ['OPTIONS', '/about/us'],
    ['GET', '/a/b/c'],
    ['DELETE', '/uploads/a/b/c'],
    ['GET', '/uploads'],
  ])('%s %s is left to the app that mounts it', async (method, place) => {
    const { port, service } = await start()
    const refused: string[] = []
    service?.on('request:refused', ({ code }) => refused.push(code))
    const { status, body } = await ask(port, `${method} ${place}`)
    if (hasApp) {
      expect({ status, body }).toEqual({ status: 404, body: method === 'HEAD' ? '' : HOST_WORDS })
      expect(refused).toEqual([])
    } else {
      expect(body).not.toBe(HOST_WORDS)
      const hasShape = place.split('/').length <= 3 && ['PUT', 'PATCH'].includes(method)
      expect(status).toBe(method === 'OPTIONS' ? 204 : hasShape ? 405 : 404)
    }
  })

  test('a preflight for a file that is PUT under its name is answered', async () => {
    const { port } = await start()
    const headers = { Origin: 'https://page.example', 'Access-Control-Request-Method': 'PUT' }
    expect(await ask(port, 'OPTIONS /notes.txt', headers)).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-origin': '*' },
    })
  })

  test('a link is received by GET and by the button, with its name in the path or without', async () => {
    const { port } = await start()
    for (const receiving of ['GET /ID', 'GET /ID/any', 'POST /ID', 'POST /ID/any']) {
      const sender = await open(port, { length: 5 })
      const receiver = await say(port, receiving.replace('ID', sender.id))
      await sender.write('hello')
      await receiver.until(/\r\n\r\nhello$/)
      receiver.end()
      await sender.until(/"delivered"/)
    }
  })
})
