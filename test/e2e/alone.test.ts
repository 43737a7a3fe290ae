import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { STRICT_NODE } from '../helpers/child-env.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { socketsOf } from '../helpers/own-sockets.js'
import { needsRedis, startRedis } from '../helpers/redis.js'
import { clusterFlags } from '../helpers/start-nodes.js'
import { startServerIn, type TestServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { needsProc } from '../helpers/unread.js'
import { openReceiver, openSender } from '../server/serve.js'

/** What only a server of several nodes or workers needs: its rooms, and its way to Redis. */
const FOR_SEVERAL = /\/dist\/server\/(?:locator|nodes|workers|node\/keyed-tls)|\/node_modules\/@redis\//

/** A server, and the modules that it has loaded so far. */
async function startWatched(...flags: readonly string[]) {
  const list = join(await tempDir(), 'loaded')
  const watch = new URL('../helpers/loaded-modules.mjs', import.meta.url)
  const server = await startServerIn(
    { LOADED_MODULES: list, NODE_OPTIONS: `${STRICT_NODE} --import ${watch}` },
    ...flags,
  )
  const loaded = async () => (await readFile(list, 'utf8')).trim().split('\n')
  return { server, loaded }
}

/** All that makes a node ask others: what isn't there, what waits to be there, what has ended; and a transfer. */
async function playAll({ port }: TestServer): Promise<void> {
  const upload = `/uploads/${'a'.repeat(22)}`
  for (const target of ['GET /abcdefghijkl', `PUT ${upload}`, `GET ${upload}/events`])
    expect((await exchange(port, requestHead(target))).status).toBe(404)
  expect((await exchange(port, requestHead('GET /abcdefghijkl?wait=0.05'))).status).toBe(404)
  expect((await exchange(port, requestHead('POST /reserve'))).status).toBe(201)
  const sender = await openSender(port, { length: 5 })
  const receiver = await openReceiver(port, `/${sender.id}`)
  await sender.write('hello')
  await receiver.until(/hello$/)
  receiver.end()
  await sender.until(/"delivered"/)
  expect((await exchange(port, requestHead(`GET /${sender.id}`))).status).toBe(410)
}

test('one server alone loads nothing of clusters and workers, whatever it is asked', async () => {
  const { server, loaded } = await startWatched('--reservations')
  await playAll(server)
  const modules = await loaded()
  expect(modules).toContainEqual(expect.stringMatching(/\/dist\/server\/broker\/service\.js$/))
  expect(modules.filter((url) => FOR_SEVERAL.test(url))).toEqual([])
})

test('a node of a cluster loads them', async (context) => {
  needsRedis(context)
  const { server, loaded } = await startWatched(
    '--reservations',
    ...(await clusterFlags((await startRedis()).url)),
  )
  await server.untilStderr(/Redis is well/)
  await playAll(server)
  const all = await loaded()
  // Of TLS between nodes, only with --cluster-tls, or if another node has that.
  expect(all.filter((url) => url.includes('/keyed-tls'))).toEqual([])
  const modules = all.filter((url) => FOR_SEVERAL.test(url))
  for (const part of ['/server/locator/redis.js', '/server/nodes/carrier.js', '/node_modules/@redis/client/'])
    expect(modules).toContainEqual(expect.stringContaining(part))
})

test('one server alone has one port, and no connection but those of its clients', async (context) => {
  needsProc(context)
  const server = await startServerIn({})
  const own = { protocol: 'tcp', isListening: true, hasEnded: false, port: server.port, remotePort: 0 }
  expect(await socketsOf(server.pid)).toEqual([own])
  const sender = await openSender(server.port, { length: 5 })
  expect(await socketsOf(server.pid)).toEqual(
    expect.arrayContaining([own, expect.objectContaining({ port: server.port, isListening: false })]),
  )
  expect(await socketsOf(server.pid)).toHaveLength(2)
  sender.reset()
})
