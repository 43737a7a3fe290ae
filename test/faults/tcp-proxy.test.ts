import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type Fault, startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

/** One end of a connection: what it has read, piece by piece, and how it ended. */
interface End {
  readonly socket: Socket
  readonly pieces: readonly string[]
  text(): string
  how(): 'fin' | 'rst' | undefined
}

function watch(socket: Socket): End {
  const pieces: string[] = []
  let how: 'fin' | 'rst' | undefined
  socket.setEncoding('latin1')
  socket.on('data', (piece: string) => pieces.push(piece))
  socket.once('end', () => {
    how ??= 'fin'
  })
  socket.on('error', () => {
    how = 'rst'
  })
  onTestFinished(() => void socket.destroy())
  return { socket, pieces, text: () => pieces.join(''), how: () => how }
}

/** A peer, a server, and the proxy between them. */
async function between(): Promise<{ peer: End; server: End; proxy: TcpProxy }> {
  const accepting = createServer({ allowHalfOpen: true, noDelay: true })
  onTestFinished(() => void accepting.close())
  // A later one is none of the test's; that it is reset at the end is no news.
  accepting.on('connection', (socket) => socket.on('error', () => undefined))
  const accepted = new Promise<Socket>((resolve) => accepting.once('connection', resolve))
  await new Promise<void>((resolve) => accepting.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has this kind of address.
  const proxy = await startTcpProxy((accepting.address() as AddressInfo).port)
  onTestFinished(() => proxy.close())
  const peer = watch(connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }))
  const server = watch(await within(DEADLINE_MS, 'the proxy connects to the server', accepted))
  peer.socket.write('hello')
  await until('the first words arrive', () => server.text() === 'hello')
  server.socket.write('welcome')
  await until('the answer arrives', () => peer.text() === 'welcome')
  return { peer, server, proxy }
}

test('without a fault, bytes and ends pass both ways', async () => {
  const { peer, server } = await between()
  peer.socket.end('bye')
  await until('the server reads the end', () => server.how() === 'fin')
  expect(server.text()).toBe('hellobye')
  server.socket.end('later')
  await until('the peer reads the end', () => peer.how() === 'fin')
  expect(peer.text()).toBe('welcomelater')
})

test('without a fault, a reset passes', async () => {
  const { peer, server } = await between()
  server.socket.resetAndDestroy()
  await until('the peer is reset', () => peer.how() === 'rst')
})

test('a delay holds back what comes, and then passes all of it', async () => {
  const { peer, server, proxy } = await between()
  const begin = performance.now()
  await proxy.strike({ kind: 'delay', ms: 200 })
  peer.socket.write('a')
  server.socket.write('b')
  await until('both arrive', () => server.text() === 'helloa' && peer.text() === 'welcomeb')
  expect(performance.now() - begin).toBeGreaterThan(190)
})

test('a throttle lets pass so many bytes a second, and all of them', async () => {
  const { peer, server, proxy } = await between()
  const begin = performance.now()
  await proxy.strike({ kind: 'throttle', bytesPerSecond: 10_000 })
  peer.socket.write('x'.repeat(3000))
  await until('all arrive', () => server.text().length === 3005)
  expect(performance.now() - begin).toBeGreaterThan(200)
})

test('what is held passes up to that byte, the other direction all the same, and the rest when it is let go', async () => {
  const { peer, server, proxy } = await between()
  const letGo = proxy.hold('up', 4)
  peer.socket.write('01234567')
  await until('the first of it arrives', () => server.text() === 'hello0123')
  server.socket.write('b')
  await until('the other direction passes', () => peer.text() === 'welcomeb')
  expect(server.text()).toBe('hello0123')
  letGo()
  await until('the rest arrives', () => server.text() === 'hello01234567')
})

test('a split passes so many bytes one by one, and the rest as it comes', async () => {
  const { peer, server, proxy } = await between()
  await proxy.strike({ kind: 'split', bytes: 10 })
  peer.socket.write('0123456789abcdefghij')
  await until('all arrive', () => server.text() === 'hello0123456789abcdefghij')
  // A busy machine may read two of them at once.
  expect(server.pieces.slice(1, -1).length).toBeGreaterThan(5)
  expect(server.pieces.at(-1)).toBe('abcdefghij')
})

test('a half-close tells the server that the peer is silent, while the peer reads on', async () => {
  const { peer, server, proxy } = await between()
  await proxy.strike({ kind: 'half-close' })
  await until('the server reads the end', () => server.how() === 'fin')
  peer.socket.write('not passed on')
  server.socket.end('last words')
  await until('the peer reads the end', () => peer.how() === 'fin')
  expect(peer.text()).toBe('welcomelast words')
  expect(server.text()).toBe('hello')
})

test('a FIN tells both that the other is silent, and passes nothing more', async () => {
  const { peer, server, proxy } = await between()
  await proxy.strike({ kind: 'fin' })
  await until('both read the end', () => server.how() === 'fin' && peer.how() === 'fin')
  server.socket.end('not passed on')
  peer.socket.end('not passed on')
  await until('both are closed', () => server.socket.destroyed && peer.socket.destroyed)
  expect([peer.text(), server.text(), peer.how(), server.how()]).toEqual(['welcome', 'hello', 'fin', 'fin'])
})

test('a RST resets both', async () => {
  const { peer, server, proxy } = await between()
  await proxy.strike({ kind: 'rst' })
  await until('both are reset', () => server.how() === 'rst' && peer.how() === 'rst')
})

test('a black hole keeps connections open and swallows bytes, ends and resets', async () => {
  const { peer, server, proxy } = await between()
  await proxy.strike({ kind: 'black-hole' })
  server.socket.write('swallowed')
  // More than the kernels between hold: the proxy reads no more.
  const isTaken = new Promise<boolean>((resolve) => {
    peer.socket.write(Buffer.alloc(32 * 1024 * 1024), (error) => resolve(error === undefined))
  })
  const isSwallowed = Promise.race([isTaken, within(300, 'the flood is taken', isTaken).catch(() => false)])
  expect(await isSwallowed).toBe(false)
  server.socket.resetAndDestroy()
  await until('the server has gone', () => server.socket.destroyed)
  const late = watch(connect({ port: proxy.port, host: '127.0.0.1' }))
  late.socket.write('anybody there?')
  await until('the late one is connected', () => !late.socket.connecting)
  expect([peer.text(), peer.how(), server.text(), late.how()]).toEqual([
    'welcome',
    undefined,
    'hello',
    undefined,
  ])
})

test.each<Fault>([{ kind: 'half-close' }, { kind: 'fin' }])(
  'an armed $kind strikes at its byte',
  async (fault) => {
    const { peer, server, proxy } = await between()
    const struck = proxy.arm(fault, 'up', 4)
    peer.socket.write('abcdef')
    await within(DEADLINE_MS, 'the fault strikes', struck)
    await until('the server reads the end', () => server.how() === 'fin')
    expect(server.text()).toBe('helloabcd')
  },
)

test('an armed fault waits for its direction', async () => {
  const { peer, server, proxy } = await between()
  const struck = proxy.arm({ kind: 'rst' }, 'down', 3)
  peer.socket.write('abcdef')
  await until('the other direction passes', () => server.text() === 'helloabcdef')
  expect(peer.how()).toBeUndefined()
  server.socket.write('123')
  await within(DEADLINE_MS, 'the fault strikes', struck)
  await until('both are reset', () => server.how() === 'rst' && peer.how() === 'rst')
})
