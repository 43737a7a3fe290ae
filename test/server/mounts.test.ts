import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { expect, onTestFinished, test } from 'vitest'
import { createService, type EmbeddedService } from '../../server/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { senderHead } from './serve.js'

/** Where a service is mounted, and what its visitors ask for. */
interface Mount {
  /** What they put before the service's own paths. */
  readonly asked: string
  /** The same in a link, where that is another way to write it. */
  readonly linked?: string
  readonly serve: (service: EmbeddedService) => Server
}

function inHono(prepare: (app: Hono, service: EmbeddedService) => unknown, app = new Hono()): Mount['serve'] {
  return (service) => {
    prepare(app, service)
    // Of the kinds of server that this may give, it gives this one unless told otherwise.
    return createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server
  }
}

function inExpress(prepare: (app: express.Express, handler: RequestListener) => unknown): Mount['serve'] {
  return ({ handler }) => {
    const app = express()
    prepare(app, handler)
    return createServer(app)
  }
}

/** 共有 as a URL has it. */
const ENCODED = '%E5%85%B1%E6%9C%89'

const MOUNTS: Readonly<Record<string, Mount>> = {
  'a parameter, in Hono': {
    asked: '/t/acme/share',
    serve: inHono((app, service) => app.route('/t/:tenant/share', service.app)),
  },
  'a parameter alone, in Hono': {
    asked: '/acme',
    serve: inHono((app, service) => app.route('/:tenant', service.app)),
  },
  'a parameter with a pattern, in Hono': {
    asked: '/v12/share',
    serve: inHono((app, service) => app.route('/:version{v[0-9]+}/share', service.app)),
  },
  'an asterisk, in Hono': {
    asked: '/any/share',
    serve: inHono((app, service) => app.route('/*/share', service.app)),
  },
  'a base path and an app in an app, in Hono': {
    asked: '/api/acme/share',
    serve: inHono((app, service) =>
      app.route('/api/:tenant', new Hono().basePath('/share').route('/', service.app)),
    ),
  },
  'a path of its own, in Hono': {
    asked: '/share',
    serve: inHono(
      (app, service) => app.route('/localhost/share', service.app),
      new Hono({ getPath: (request) => request.url.replace(/^https?:\//, '') }),
    ),
  },
  'letters beyond ASCII, in Hono': {
    asked: `/${ENCODED}`,
    serve: inHono((app, service) => app.route('/共有', service.app)),
  },
  'the same in lower case': {
    asked: `/${ENCODED.toLowerCase()}`,
    linked: `/${ENCODED}`,
    serve: inHono((app, service) => app.route('/共有', service.app)),
  },
  'a parameter that should have been encoded, in Hono': {
    asked: '/a"{b}|%22/share',
    linked: '/a%22%7Bb%7D%7C%22/share',
    serve: inHono((app, service) => app.route('/:name/share', service.app)),
  },
  'a parameter, in Express': {
    asked: '/t/acme/share',
    serve: inExpress((app, handler) => app.use('/t/:tenant/share', handler)),
  },
  'several paths, in Express': {
    asked: '/other',
    serve: inExpress((app, handler) => app.use(['/share', '/other'], handler)),
  },
  'a regular expression, in Express': {
    asked: '/r12',
    serve: inExpress((app, handler) => app.use(/^\/r\d+/, handler)),
  },
  'a router in a router, in Express': {
    asked: '/API/acme/share',
    serve: inExpress((app, handler) =>
      app.use('/api', express.Router().use('/:tenant', express.Router().use('/share', handler))),
    ),
  },
  'letters beyond ASCII, in Express': {
    asked: `/${ENCODED}`,
    serve: inExpress((app, handler) => app.use(encodeURI('/共有'), handler)),
  },
  'a parameter that should have been encoded, in Express': {
    asked: '/a"{b}|%22/share',
    linked: '/a%22%7Bb%7D%7C%22/share',
    serve: inExpress((app, handler) => app.use('/:name/share', handler)),
  },
}

test.each(Object.entries(MOUNTS))('with %s, links have the path that was asked for', async (_name, mount) => {
  const { asked, linked = asked, serve } = mount
  const service = createService({ reservations: true })
  const server = serve(service)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    service.stopNow()
    server.close()
    server.closeAllConnections()
  })
  // A server that listens on TCP has this kind of address.
  const { port } = server.address() as AddressInfo
  const base = `http://localhost${linked}`
  const ask = (target: string, headers = {}) => exchange(port, requestHead(target, headers))

  for (const target of [`POST ${asked}`, `POST ${asked}/`, `PUT ${asked}/a.txt?ttl=9`]) {
    const sender = await connectRaw(port)
    await sender.write(senderHead({ target, length: 5 }))
    const [, url = '', upload = ''] = await sender.until(/"url":"([^"]+)","upload":"([^"]+)"/)
    expect(url.replace(/[\w-]{12}(?=\/|$)/, 'ID')).toBe(
      `${base}/ID${target.includes('a.txt') ? '/a.txt' : ''}`,
    )
    expect(sender.text()).toContain(`\r\nLocation: ${url}\r\n`)
    expect(upload).toMatch(/\/uploads\/[\w-]{22}$/)
    expect(upload.slice(0, upload.indexOf('/uploads/'))).toBe(base)
    const { pathname } = new URL(url)
    const page = await ask(`GET ${pathname}`, BROWSER)
    expect(page).toMatchObject({ status: 406, body: expect.stringContaining(url) })
    await sender.write('hello')
    expect(await ask(`GET ${pathname}`)).toMatchObject({ status: 200, body: 'hello' })
    await sender.until(/"delivered"/)
  }
  const usage = await ask(`GET ${asked}/`)
  expect(usage).toMatchObject({ status: 200, body: expect.stringContaining(` ${base}/\n`) })
  const reserved = await ask(`POST ${asked}/reserve`, { Accept: 'application/json' })
  // Its form is looked at by other tests.
  const { url, upload } = JSON.parse(reserved.body) as { url: string; upload: string }
  expect([url, upload].map((link) => link.replace(/[^/]+$/, ''))).toEqual([`${base}/`, `${base}/uploads/`])
  const sender = await connectRaw(port)
  await sender.write(`${requestHead(`PUT ${new URL(upload).pathname}`, { 'Content-Length': '5' })}hello`)
  expect(await ask(`GET ${new URL(url).pathname}`)).toMatchObject({ status: 200, body: 'hello' })
  await sender.ending()
  expect(parseAnswer(sender.text()).status).toBe(200)
})
