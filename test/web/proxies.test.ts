import { brotliDecompressSync } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { factsIn, loadedBy, OWN_SCRIPTS, policyOf } from '../helpers/pages.js'
import { startBehind } from '../helpers/proxies.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { eventsOf } from '../server/serve.js'

const BY_PAGE = { Accept: 'application/json, application/problem+json', Connection: 'close' }

/** As a browser over plain HTTP, which says where its page is from in `Origin` alone. */
async function openBehind(name: 'nginx' | 'caddy' | 'haproxy' | 'apache2') {
  // The helper starts servers that resume nothing.
  const { url } = await startBehind(name, { more: ['--resume-within', '120'] })
  const { host, port } = new URL(url)
  const ask = (target: string, headers: Readonly<Record<string, string>> = {}) =>
    exchange(Number(port), requestHead(target, { Host: host, ...headers }))
  const say = async (target: string, headers: Readonly<Record<string, string>>, body = '') => {
    const peer = await connectRaw(Number(port))
    await peer.write(requestHead(target, { Host: host, ...headers }) + body)
    return peer
  }
  return { url, ask, say }
}

describe.each(['nginx', 'caddy', 'haproxy', 'apache2'] as const)('behind %s, as documented,', (name) => {
  beforeEach((context) => needs(context, name))

  test('the page comes with its policy, and its parts as they were packed', async () => {
    const { url, ask } = await openBehind(name)
    const page = await ask('GET /', BROWSER)
    expect(page.status).toBe(200)
    expect(policyOf(page.headers['content-security-policy'])).toMatchObject({
      'script-src': expect.stringMatching(OWN_SCRIPTS),
    })
    const parts = loadedBy(page.body)
    expect(parts.length).toBeGreaterThan(1)
    for (const part of parts) {
      const { pathname } = new URL(part, `${url}/`)
      const found = await ask(`GET ${pathname}`, { 'Accept-Encoding': 'gzip, br' })
      expect(found).toMatchObject({
        status: 200,
        headers: { 'content-encoding': 'br', 'cache-control': 'public, max-age=31536000, immutable' },
      })
      expect(brotliDecompressSync(Buffer.from(found.body, 'latin1')).length).toBeGreaterThan(0)
    }
  })

  test('it reserves, sends in pieces, and reads the verdict', async () => {
    const { url, ask, say } = await openBehind(name)
    expect(factsIn((await ask('GET /', BROWSER)).body).needsTokenToSend).toBe(false)
    const reserved = await ask('POST /reserve', { ...BY_PAGE, Origin: url })
    expect(reserved.status).toBe(201)
    const reservation = JSON.parse(reserved.body) as { id: string; url: string; upload: string }
    expect(reservation.url).toBe(`${url}/${reservation.id}`)
    const { pathname } = new URL(reservation.upload)

    const events = await say(`GET ${pathname}/events`, { Accept: 'application/x-ndjson' })
    await events.until(/"event":"reserved"/)
    const receiver = await say(`GET /${reservation.id}`, { TE: 'trailers' })
    for (const [offset, piece, isLast] of [
      [0, 'hello ', false],
      [6, 'world', true],
    ] as const) {
      const sender = await say(
        `PATCH ${pathname}`,
        {
          Origin: url,
          'Content-Type': 'application/partial-upload',
          'Content-Length': String(piece.length),
          'Upload-Offset': String(offset),
          'Upload-Length': '11',
          'Upload-Complete': isLast ? '?1' : '?0',
        },
        piece,
      )
      if (!isLast) await sender.until(/^HTTP\/1\.1 204 /)
    }
    await receiver.until(/hello.*world/s)
    await receiver.ending()
    receiver.end()
    await events.until(/"event":"delivered"/)
    expect(eventsOf(events).at(-1)).toMatchObject({ event: 'delivered', bytes: 11 })
  })
})
