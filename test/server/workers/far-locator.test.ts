import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { withResolvers } from '../../../server/node/with-resolvers.js'
import { Channel } from '../../../server/workers/channel.js'
import { FarLocator } from '../../../server/workers/far-locator.js'
import {
  handle,
  readToParent,
  readToWorker,
  type ToParent,
  type ToWorker,
} from '../../../server/workers/messages.js'
import { type IndexedWorker, type IndexMessage, WorkersIndex } from '../../../server/workers/workers-index.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'
import { describeLocator } from '../locator/contract.js'

/** Both ends of a connection. */
async function connectedPair(): Promise<readonly [Socket, Socket]> {
  const { promise: accepted, resolve } = withResolvers<Socket>()
  const server = createServer({ noDelay: true }, resolve)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Expected a TCP address')
  const socket = connect(address.port, '127.0.0.1')
  socket.setNoDelay()
  const pair = [await within(DEADLINE_MS, 'the other end is there', accepted), socket] as const
  server.close()
  onTestFinished(() => {
    for (const end of pair) end.destroy()
  })
  return pair
}

/** A parent's index, and what joins workers to it as their processes would. */
function startIndex() {
  const workers = new Set<IndexedWorker>()
  const index = new WorkersIndex((message) => {
    for (const worker of workers) worker.tell(message)
  })
  return {
    join: async ({ node, address }: { node: string; address: string }) => {
      const [parentEnd, workerEnd] = await connectedPair()
      const toWorker: Channel<ToWorker, ToParent> = new Channel(parentEnd, readToParent, (message) =>
        // The locator sends no other.
        handle(index.handlers, message as IndexMessage, worker),
      )
      const worker: IndexedWorker = { name: node, tell: (message) => toWorker.now(message) }
      workers.add(worker)
      toWorker.onEnd(() => {
        workers.delete(worker)
        index.drop(worker)
      })
      const toParent: Channel<ToParent, ToWorker> = new Channel(workerEnd, readToWorker, (message) => {
        if (message.kind === 'found') locator.found(message.ask, message.found)
        if (message.kind === 'settled') locator.settled(message.ask)
        if (message.kind === 'nodes') locator.setNodes(message.nodes)
      })
      const locator: FarLocator = new FarLocator(node, (message, how) => toParent[how](message))
      index.join(worker, address)
      await until(`${node} is known to all`, () => locator.state.nodes.some((one) => one.node === node))
      // A worker leaves by its end.
      const close = async () => {
        workerEnd.destroy()
        await until(`${node} is gone`, () => !workers.has(worker))
      }
      return Object.assign(locator, { close })
    },
  }
}

describe('a locator in the parent of workers', () => {
  // The parent counts clients in its own way.
  describeLocator(async () => startIndex(), false)
})

test('finds what was settled before the question could be asked', async () => {
  const index = startIndex()
  const [a, b] = [
    await index.join({ node: 'a', address: 'a:1' }),
    await index.join({ node: 'b', address: 'b:1' }),
  ]
  for (let count = 0; count < 200; count++) {
    a.settle('id', `id ${count}`)
    expect(await b.find('id', `id ${count}`)).toEqual({ node: 'a', address: 'a:1' })
  }
})

test('says that it is unknown where a key is, if the parent does not answer', async () => {
  const locator = new FarLocator('a', () => undefined)
  const started = performance.now()
  expect(await locator.find('id', 'AAAAAAAAAAAA')).toBe('unknown')
  expect(performance.now() - started).toBeLessThan(5000)
})
