import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isBrought, type Origin, originOf } from '../../../server/node/origin.js'
import { HANDSHAKE_MS } from '../../../server/nodes/handshake.js'
import { type LinkAddress, listenForLinks, openLink, parseAddress } from '../../../server/nodes/links.js'
import { within } from '../../helpers/within.js'

const SECRET = Buffer.from('the secret of the cluster')
const ORIGIN: Origin = {
  remoteAddress: '2001:db8::1',
  remotePort: 50_000,
  localAddress: '2001:db8::2',
  localPort: 443,
  isEncrypted: true,
}

/** The node `home`, and the links that it has taken. */
async function home(): Promise<{ readonly address: LinkAddress; readonly taken: Socket[] }> {
  const taken: Socket[] = []
  const listener = await listenForLinks(
    { host: '127.0.0.1', port: 0 },
    'home',
    { secret: SECRET },
    (link) => {
      taken.push(link)
      onTestFinished(() => void link.destroy())
    },
  )
  onTestFinished(() => listener.close())
  return { address: listener.address, taken }
}

/** All that a node says to these bytes until it ends the connection. */
async function answerTo(address: LinkAddress, bytes: Buffer): Promise<Buffer> {
  const parts: Buffer[] = []
  const stranger = connect(address)
  onTestFinished(() => void stranger.destroy())
  stranger.on('data', (part: Buffer) => parts.push(part)).on('error', () => undefined)
  stranger.write(bytes)
  await within(
    HANDSHAKE_MS + 2000,
    'the node ends it',
    new Promise((resolve) => stranger.once('close', resolve)),
  )
  return Buffer.concat(parts)
}

test('a link passes for the connection of its client, and carries what comes behind', async () => {
  const { address, taken } = await home()
  const link = await openLink(address, 'home', ORIGIN, { secret: SECRET })
  onTestFinished(() => void link.destroy())
  link.write('hello')
  await within(5000, 'the link is taken', expect.poll(() => taken.length).toBe(1))
  const [end] = taken
  if (end === undefined) throw new Error('Expected a link')
  expect(originOf(end)).toEqual(ORIGIN)
  expect(isBrought(end)).toBe(true)
  const came = new Promise((resolve) => end.once('data', (bytes: Buffer) => resolve(bytes.toString())))
  end.resume()
  expect(await within(5000, 'the bytes come', came)).toBe('hello')
})

describe('a link is refused', () => {
  test('to a caller with another secret', async () => {
    const { address, taken } = await home()
    await expect(openLink(address, 'home', ORIGIN, { secret: Buffer.from('another') })).rejects.toThrow()
    expect(taken).toEqual([])
  })

  test('by a node of another name, which has taken over the address', async () => {
    const { address, taken } = await home()
    await expect(openLink(address, 'gone', ORIGIN, { secret: SECRET })).rejects.toThrow()
    expect(taken).toEqual([])
  })

  test('by a caller whose listener does not know the secret, before it says a word of its client', async () => {
    let heard = 0
    const liar = createServer((connection) => {
      connection.on('error', () => undefined)
      connection.write(Buffer.concat([Buffer.from('ess-link 2\n'), Buffer.alloc(32)]))
      connection.on('data', (bytes) => {
        // Its version, its random bytes and its proof.
        heard += bytes.length
        connection.write(Buffer.alloc(32))
      })
    })
    await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void liar.close())
    const { port } = liar.address() as AddressInfo
    await expect(openLink({ host: '127.0.0.1', port }, 'home', ORIGIN, { secret: SECRET })).rejects.toThrow(
      /secret/,
    )
    expect(heard).toBe(11 + 32 + 32)
  })

  test.each([
    ['HTTP', Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\n\r\n${'x'.repeat(100)}`)],
    ['another version', Buffer.concat([Buffer.from('ess-link 1\n'), Buffer.alloc(64)])],
    ['a proof that is none', Buffer.concat([Buffer.from('ess-link 2\n'), Buffer.alloc(64)])],
    ['a flood', Buffer.alloc(5_000_000)],
    ['too little, for too long', Buffer.from('ess-link 2\n')],
  ])('to a stranger who says %s, and learns nothing', async (_what, bytes) => {
    const { address, taken } = await home()
    const answer = await answerTo(address, bytes)
    // The greeting alone: a version and random bytes. A flood may end in a reset, which takes even that away.
    expect([0, 43]).toContain(answer.length)
    expect(taken).toEqual([])
  })
})

test.each([
  ['10.0.0.1:9100', { host: '10.0.0.1', port: 9100 }],
  ['[::1]:1', { host: '::1', port: 1 }],
  ['node.example:65535', { host: 'node.example', port: 65_535 }],
  ['10.0.0.1', undefined],
  ['10.0.0.1:65536', undefined],
  ['::1:9100', undefined],
  ['', undefined],
])('an address is read: %s', (text, expected) => {
  expect(parseAddress(text)).toEqual(expected)
})
