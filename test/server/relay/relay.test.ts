import { once } from 'node:events'
import { connect, createServer, type ListenOptions, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Relay } from '../../../server/relay/relay.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

interface Ends {
  readonly ours: Socket
  readonly theirs: Socket
}

/** Two ends of one connection, of which the first is ours, and is not read. */
async function connected(options: ListenOptions = { port: 0, host: '127.0.0.1' }): Promise<Ends> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(options)
  await within(DEADLINE_MS, 'the server listens', once(server, 'listening'))
  const address = server.address()
  const theirs = typeof address === 'string' ? connect(address) : connect({ port: address?.port ?? 0 })
  // An event of 'connection' brings a socket.
  const [ours] = (await within(DEADLINE_MS, 'a connection', once(server, 'connection'))) as [Socket]
  theirs.on('error', () => undefined)
  ours.on('error', () => undefined)
  onTestFinished(() => {
    theirs.destroy()
    ours.destroy()
    server.close()
  })
  return { ours, theirs }
}

async function readyRelay(): Promise<Relay> {
  const relay = new Relay('streams')
  await relay.ready()
  onTestFinished(() => relay.close())
  return relay
}

test.runIf(process.platform === 'linux')(
  'a sender is known to be there until its end, or its reset, has come',
  async () => {
    const relay = await readyRelay()
    const ends: ((theirs: Socket) => void)[] = [
      (theirs) => theirs.end('the last words, unread'),
      (theirs) => theirs.resetAndDestroy(),
    ]
    for (const end of ends) {
      const { ours, theirs } = await connected()
      theirs.write('some bytes, unread')
      expect(relay.isSenderThere(ours)).toBe(true)
      end(theirs)
      await until('the kernel has heard of the end', () => !relay.isSenderThere(ours))
    }
  },
)

test.runIf(process.platform === 'linux')(
  'while a sender has filled the window, it is not said to be there',
  async () => {
    const relay = await readyRelay()
    const { ours, theirs } = await connected()
    expect(relay.isSenderThere(ours)).toBe(true)
    theirs.write(Buffer.alloc(64 * 1024 * 1024))
    await until('the window is full', () => !relay.isSenderThere(ours))
    ours.resume()
    await until('there is room again', () => relay.isSenderThere(ours))
  },
)

test('of a connection that is not TCP it is never said that its sender is there', async () => {
  const relay = await readyRelay()
  const local = await connected({ path: join(await tempDir(), 'socket') })
  expect(relay.isSenderThere(local.ours)).toBe(false)
})

test('before the kernel can be asked, it is never said that a sender is there', async () => {
  const relay = new Relay('streams')
  const { ours } = await connected()
  expect(relay.isSenderThere(ours)).toBe(false)
})
