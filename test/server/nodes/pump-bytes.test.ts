import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { pumpBytes } from '../../../server/nodes/pump-bytes.js'
import { Relay } from '../../../server/relay/relay.js'
import { createSplicer, type Splicer } from '../../../server/relay/splice/splicer.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => void server.close())

async function connection(): Promise<{ readonly peer: Socket; readonly ours: Socket }> {
  const { port } = server.address() as AddressInfo
  const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const [ours] = (await within(DEADLINE_MS, 'a connection', once(server, 'connection'))) as [Socket]
  for (const socket of [peer, ours]) onTestFinished(() => void socket.destroy())
  return { peer, ours }
}

/** A thread on a busy machine: the kernel has moved bytes, and the thread hasn't had the processor since to count them. */
function countsLate(splicer: Splicer): Splicer {
  return {
    ...splicer,
    start: (...terms) => {
      const job = splicer.start(...terms)
      let isOver = false
      void job.ended.then(() => {
        isOver = true
      })
      return { ...job, moved: () => (isOver ? job.moved() : 0) }
    },
  }
}

test.skipIf(process.platform !== 'linux').each([
  ['all that follows', 1000],
  ['a part of what follows', 700],
])('a pump that has settled has counted what its sink has: %s', async (_what, sent) => {
  const splicer = await createSplicer()
  onTestFinished(() => splicer.close())
  const relay = new Relay('splice')
  relay.splicerTo = () => countsLate(splicer)
  const [source, sink] = [await connection(), await connection()]
  let left: number | undefined
  const pump = pumpBytes(source.ours, sink.ours, {
    relay,
    passed: () => {
      left = 1000
    },
    left: () => left,
    broken: () => undefined,
  })
  let read = 0
  sink.peer.on('data', (bytes) => {
    read += bytes.length
  })
  source.peer.write('its head')
  await until('the head is there', () => read === 'its head'.length)
  source.peer.write(Buffer.alloc(sent))
  await until('the sink has the rest', () => read === 'its head'.length + sent)
  await within(DEADLINE_MS, 'the pump settles', pump.settle())
  expect(pump.moved()).toBe(sent)
  await pump.stop()
})
