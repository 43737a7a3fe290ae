import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isBrought, type Origin, originOf } from '../../../server/node/origin.js'
import {
  type LinkAddress,
  type LinkTerms,
  listenForLinks,
  openLink,
  parseAddress,
} from '../../../server/nodes/links.js'
import { certificate } from '../../helpers/certificate.js'
import { listening } from '../../helpers/recording-proxy.js'
import { holdTimers } from '../../helpers/timings.js'
import { until, within } from '../../helpers/within.js'

const ORIGIN: Origin = {
  remoteAddress: '2001:db8::1',
  remotePort: 50_000,
  localAddress: '2001:db8::2',
  localPort: 443,
  isEncrypted: true,
}

/** How the links of a test are. */
const KINDS = [
  ['plain', false],
  ['in TLS', true],
] as const

/** The terms of a node, which knows `secret`. */
function termsOf(
  wantsTls: boolean,
  {
    secret = 'the secret of the cluster',
    name = 'away',
    ...more
  }: Partial<Record<'secret' | 'name', string>> & {
    onOtherWish?: (node: string) => void
  } = {},
): LinkTerms {
  return {
    name,
    secret: createHmac('sha256', secret).digest(),
    tlsKey: Buffer.from(hkdfSync('sha256', secret, '', 'TLS', 32)),
    wantsTls,
    ...more,
  }
}

interface Home {
  readonly address: LinkAddress
  /** The links that it has taken. */
  readonly taken: Socket[]
  /** The nodes that want something else of it. */
  readonly others: string[]
}

/** The node `home`. */
async function home(wantsTls: boolean): Promise<Home> {
  const taken: Socket[] = []
  const others: string[] = []
  const terms = termsOf(wantsTls, { name: 'home', onOtherWish: (node) => others.push(node) })
  const listener = await listenForLinks({ host: '127.0.0.1', port: 0 }, terms, (link) => {
    taken.push(link)
    onTestFinished(() => void link.destroy())
  })
  onTestFinished(() => listener.close())
  return { address: listener.address, taken, others }
}

async function open(address: LinkAddress, terms: LinkTerms, name = 'home', origin = ORIGIN): Promise<Socket> {
  const link = await openLink(address, name, origin, terms)
  onTestFinished(() => void link.destroy())
  return link
}

/** The other end of the link that was just opened. */
async function takenBy({ taken }: Home): Promise<Socket> {
  await within(5000, 'the link is taken', expect.poll(() => taken.length).toBe(1))
  // It was just seen.
  return taken[0] as Socket
}

/** A program that says this to a node, whatever comes, and what it has heard so far. */
function startStranger(address: LinkAddress, bytes: Buffer) {
  const parts: Buffer[] = []
  const stranger = connect(address)
  onTestFinished(() => void stranger.destroy())
  stranger.on('data', (part: Buffer) => parts.push(part)).on('error', () => undefined)
  stranger.write(bytes)
  const closed = new Promise((resolve) => stranger.once('close', resolve))
  const say = (more: Buffer) => void stranger.write(more)
  return { heard: () => Buffer.concat(parts), say, closed: () => within(5000, 'the node ends it', closed) }
}

/** All that a node says to these bytes until it ends the connection, and it doesn't do that because of the time. */
async function answerTo(address: LinkAddress, bytes: Buffer): Promise<Buffer> {
  holdTimers('linkMs')
  const { heard, closed } = startStranger(address, bytes)
  await closed()
  return heard()
}

/** A program in the place of a node, which says this of itself and then answers as `act` does. */
async function startLiar(
  hello: Buffer,
  act: (connection: Socket, bytes: Buffer) => void,
): Promise<LinkAddress> {
  const server = createServer((connection) => {
    connection.on('error', () => undefined).on('data', (bytes: Buffer) => act(connection, bytes))
    connection.write(hello)
  })
  return { host: '127.0.0.1', port: await listening(server) }
}

const helloOf = (version: string) => Buffer.concat([Buffer.from(version), Buffer.alloc(32)])
const PLAIN = 'ess-link 2\n'
const TLS = 'ess-link 2s'

/** The beginning of a handshake of TLS, as Node's own client makes it with these options. */
async function clientHello(options: Parameters<typeof connectTls>[1] = {}): Promise<Buffer> {
  const server = createServer()
  const came = new Promise<Buffer>((resolve) => {
    server.once('connection', (connection) => connection.once('data', resolve))
  })
  const port = await listening(server)
  const stranger = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  onTestFinished(() => void stranger.destroy())
  stranger.on('error', () => undefined)
  return await within(5000, 'the client says hello', came)
}

describe.each([
  ['both plain', false, false],
  ['both in TLS', true, true],
  ['with TLS wanted by the caller alone', true, false],
  ['with TLS wanted by the listener alone', false, true],
])('a link, %s', (_what, calling, listens) => {
  const isInTls = calling || listens

  test('passes for the connection of its client, and carries what comes behind, both ways', async () => {
    const node = await home(listens)
    for (const isEncrypted of [true, false]) {
      node.taken.length = 0
      const origin = { ...ORIGIN, isEncrypted }
      const link = await open(node.address, termsOf(calling), 'home', origin)
      link.write('hello')
      const end = await takenBy(node)
      expect([link instanceof TLSSocket, end instanceof TLSSocket]).toEqual([isInTls, isInTls])
      expect(originOf(end)).toEqual(origin)
      expect(isBrought(end)).toBe(true)
      const next = async (from: Socket) => {
        const came = new Promise((resolve) => from.once('data', (bytes: Buffer) => resolve(bytes.toString())))
        from.resume()
        return await within(5000, 'the bytes come', came)
      }
      expect(await next(end)).toBe('hello')
      end.write('and back')
      expect(await next(link)).toBe('and back')
    }
  })

  test('says on both sides if the other one does not want the same', async () => {
    const node = await home(listens)
    const others: string[] = []
    await open(node.address, termsOf(calling, { onOtherWish: (name) => others.push(name) }))
    await takenBy(node)
    const isUnlike = calling !== listens
    expect([others, node.others]).toEqual(isUnlike ? [['home'], ['away']] : [[], []])
  })
})

describe.each(KINDS)('a link that is %s', (_kind, wantsTls) => {
  test('ends half by half', async () => {
    const node = await home(wantsTls)
    const link = await open(node.address, termsOf(wantsTls))
    const end = await takenBy(node)
    const ended = (one: Socket) => {
      const ends = new Promise<void>((resolve) => one.once('end', resolve))
      one.resume()
      return within(5000, 'the half ends', ends)
    }
    link.end('last')
    await ended(end)
    expect(end.bytesWritten).toBeGreaterThan(0)
    end.write('still here')
    const heard = new Promise((resolve) => link.once('data', (bytes: Buffer) => resolve(bytes.toString())))
    link.resume()
    expect(await within(5000, 'the other half goes on', heard)).toBe('still here')
    end.end()
    await ended(link)
  })

  test('is refused to a caller with another secret', async () => {
    const { address, taken } = await home(wantsTls)
    await expect(open(address, termsOf(wantsTls, { secret: 'another' }))).rejects.toThrow(
      /ended the (?:connection|handshake of TLS)/,
    )
    expect(taken).toEqual([])
  })

  test('is refused by a node of another name, which has taken over the address', async () => {
    const { address, taken } = await home(wantsTls)
    await expect(open(address, termsOf(wantsTls), 'gone')).rejects.toThrow('ended the connection')
    expect(taken).toEqual([])
  })

  test('is refused if its handshake stops, whatever was said before', async () => {
    const { address } = await home(wantsTls)
    const began = wantsTls ? (await clientHello()).subarray(0, 40) : helloOf(PLAIN)
    const deadline = holdTimers('linkMs')
    const { heard, closed } = startStranger(address, began)
    await until('the node says hello', () => heard().length === 43)
    expect(deadline.pending()).toBe(1)
    deadline.fire()
    await closed()
    expect(heard().length).toBe(43)
  })

  test('is given up by a caller whose listener stops in the handshake', async () => {
    const deadline = holdTimers('linkMs')
    let heard = 0
    const address = await startLiar(helloOf(wantsTls ? TLS : PLAIN), (_connection, bytes) => {
      heard += bytes.length
    })
    const opened = expect(open(address, termsOf(wantsTls))).rejects.toThrow('did not answer within')
    await until('the caller has said something', () => heard > 0)
    deadline.fire()
    await opened
  })

  test.each([
    ['HTTP', Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\n\r\n${'x'.repeat(100)}`)],
    ['another version', Buffer.concat([Buffer.from('ess-link 1\n'), Buffer.alloc(64)])],
    ['a proof that is none', Buffer.concat([Buffer.from(PLAIN), Buffer.alloc(64)])],
    ['a flood', Buffer.alloc(5_000_000)],
    ['a flood that begins as TLS does', Buffer.alloc(5_000_000, 22)],
  ])('is refused to a stranger who says %s, and learns nothing', async (_what, bytes) => {
    const { address, taken } = await home(wantsTls)
    const answer = await answerTo(address, bytes)
    // The hello, and the alert of TLS to what only begins as TLS. A flood may end in a reset, which takes that away.
    expect([0, 43, 43 + 7]).toContain(answer.length)
    expect(taken).toEqual([])
  })

  test.each([
    ['of TLS 1.3 without a key', {}],
    ['of TLS 1.2', { maxVersion: 'TLSv1.2' }],
    ['of TLS 1.2 with keys', { maxVersion: 'TLSv1.2', ciphers: 'PSK', pskCallback: () => KEY }],
    ['with a key of its own', { minVersion: 'TLSv1.3', pskCallback: () => KEY }],
  ] as const)('is refused to a stranger %s', async (_what, options) => {
    const { address, taken } = await home(wantsTls)
    const answer = await answerTo(address, await clientHello(options))
    // The hello, and an alert of TLS.
    expect(answer.length).toBe(43 + 7)
    expect(answer[43]).toBe(21)
    expect(taken).toEqual([])
  })
})

test('a caller that knows the secret and does not speak TLS is refused by a node that wants it', async () => {
  for (const wantsTls of [false, true]) {
    const { address, taken } = await home(wantsTls)
    holdTimers('linkMs')
    const { heard, say, closed } = startStranger(address, Buffer.alloc(0))
    await until('the node says hello', () => heard().length === 43)
    const hello = helloOf(PLAIN)
    const proof = createHmac('sha256', termsOf(wantsTls).secret).update('caller\n')
    say(Buffer.concat([hello, proof.update(heard()).update(hello).update('home').digest()]))
    if (wantsTls) await closed()
    // It gets the proof of a node that takes both.
    else await until('the node proves the same', () => heard().length === 43 + 32)
    expect(heard().length).toBe(wantsTls ? 43 : 43 + 32)
    expect(taken).toEqual([])
  }
})

const KEY = { psk: randomBytes(32), identity: 'ess' }

describe('a caller says no word of its client', () => {
  test('to a listener that does not know the secret', async () => {
    let heard = 0
    const address = await startLiar(helloOf(PLAIN), (connection, bytes) => {
      // Its hello and its proof.
      heard += bytes.length
      connection.write(Buffer.alloc(32))
    })
    await expect(open(address, termsOf(false))).rejects.toThrow('does not know the secret')
    expect(heard).toBe(43 + 32)
  })

  test.each([
    ['that wants TLS', TLS, false],
    ['if itself wants TLS', PLAIN, true],
  ])('to one %s, and then has none', async (_what, hello, wantsTls) => {
    const heard: Buffer[] = []
    const address = await startLiar(helloOf(hello), (connection, bytes) => {
      heard.push(bytes)
      connection.write(Buffer.alloc(200, 'x'))
    })
    await expect(open(address, termsOf(wantsTls))).rejects.toThrow('ended the handshake of TLS (ERR_SSL_')
    const said = Buffer.concat(heard)
    // A record of its handshake, and nothing of the other kind.
    expect(said[0]).toBe(22)
    expect(said.includes('ess-link')).toBe(false)
    expect(said.includes(String(ORIGIN.remoteAddress))).toBe(false)
  })

  test('to a listener with a certificate in place of the key', async () => {
    const { key, cert } = await certificate()
    const server = createServer((connection) => {
      connection.on('error', () => undefined).write(helloOf(TLS))
      new TLSSocket(connection, { isServer: true, key, cert }).on('error', () => undefined)
    })
    const address = { host: '127.0.0.1', port: await listening(server) }
    await expect(open(address, termsOf(true))).rejects.toThrow('ended the handshake of TLS')
  })
})

/** All that passes between two nodes. */
async function recorded(
  target: LinkAddress,
): Promise<{ readonly address: LinkAddress; readonly bytes: () => Buffer }> {
  const parts: Buffer[] = []
  const server = createServer({ allowHalfOpen: true }, (caller) => {
    const listener = connect({ ...target, allowHalfOpen: true })
    for (const [from, to] of [
      [caller, listener],
      [listener, caller],
    ] as const) {
      from
        .on('error', () => undefined)
        .on('data', (bytes: Buffer) => {
          parts.push(bytes)
          to.write(bytes)
        })
        .on('end', () => to.end())
    }
    onTestFinished(() => void listener.destroy())
  })
  const address = { host: '127.0.0.1', port: await listening(server) }
  return { address, bytes: () => Buffer.concat(parts) }
}

describe.each([
  ['by the caller', true, false],
  ['by the listener', false, true],
])('in TLS that is wanted %s', (_whose, calling, listens) => {
  test('the handshake is of TLS 1.3, with the key and a fresh exchange', async () => {
    const node = await home(listens)
    const { address, bytes } = await recorded(node.address)
    const link = await open(address, termsOf(calling))
    await takenBy(node)
    if (!(link instanceof TLSSocket)) throw new Error('Expected TLS')
    expect([link.getProtocol(), link.getCipher().name]).toEqual(['TLSv1.3', 'TLS_AES_128_GCM_SHA256'])
    expect(link.getPeerX509Certificate()).toBeUndefined()
    expect(link.getEphemeralKeyInfo()).toMatchObject({ name: 'X25519' })
    // The extension psk_key_exchange_modes says psk_dhe_ke (1) alone; supported_versions says 1.3 alone.
    const hello = bytes().toString('hex')
    expect(hello).toContain('002d00020101')
    expect(hello).toContain('002b0003020304')
  })

  test('nothing of what is carried, of its client and of the nodes can be read between them', async () => {
    const node = await home(listens)
    const { address, bytes } = await recorded(node.address)
    const link = await open(address, termsOf(calling))
    const end = await takenBy(node)
    link.write(`GET /an-id-of-a-link HTTP/1.1\r\nAuthorization: Bearer swordfish\r\n\r\n`)
    end.write('the bytes of a file')
    for (const one of [link, end]) {
      const came = new Promise((resolve) => one.once('data', resolve))
      one.resume()
      await within(5000, 'the bytes come', came)
    }
    const all = bytes().toString('latin1')
    for (const text of ['an-id-of', 'swordfish', 'bytes of a', '2001:db8', 'remoteAddress', 'away'])
      expect(all).not.toContain(text)
    expect(all.length).toBeGreaterThan(500)
  })
})

test('a program between two nodes cannot talk them out of TLS', async () => {
  const node = await home(true)
  const server = createServer((caller) => {
    const listener = connect(node.address)
    onTestFinished(() => void listener.destroy())
    caller.on('error', () => undefined).on('data', (bytes: Buffer) => listener.write(bytes))
    listener
      .on('error', () => undefined)
      .on('data', (bytes: Buffer) => caller.write(bytes.toString('latin1').replace(TLS, PLAIN), 'latin1'))
      .on('close', () => caller.destroy())
  })
  const between = { host: '127.0.0.1', port: await listening(server) }
  // It says that the listener takes both. A caller that wants TLS has it nevertheless, and sees that this was changed.
  await expect(open(between, termsOf(true))).rejects.toThrow('ended the connection')
  await expect(open(between, termsOf(false))).rejects.toThrow('ended the connection')
  expect(node.taken).toEqual([])
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
