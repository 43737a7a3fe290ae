import { createHmac } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Origin, setOrigin } from '../node/origin.js'
import { timings } from '../node/timings.js'
import { answerCall, call, type Hello, newHello, readBytes, readHello } from './handshake.js'

/** How long a link may be silent before the kernel checks whether the other node is still there. */
const KEEP_ALIVE_PROBE_MS = 30_000

/** How many callers may be in their handshake at a time. Each holds a descriptor, and may be a stranger. */
const MAX_NEWCOMERS = 512

/** Addresses of IPv6 and two ports take less than 200 bytes. */
const MAX_ORIGIN_BYTES = 1024

/** With this byte TLS begins (RFC 8446, 5.1). No hello does. */
const HANDSHAKE_OF_TLS = 22

/** What a node has to know of links, and what it wants. */
export interface LinkTerms {
  /** This node's own name. */
  readonly name: string
  /** The cluster's secret, or what was made of it for links. */
  readonly secret: Buffer
  /** The key of TLS, made of the same. */
  readonly tlsKey: Buffer
  /** True if no byte may be carried but inside TLS. Otherwise each link is as the other node wants it. */
  readonly wantsTls: boolean
  /** Called for each link with a node that wants something else. */
  readonly onOtherWish?: (node: string) => void
}

/** The address of a nodes' listener. */
export interface LinkAddress {
  /** An address or a name, without brackets. */
  readonly host: string
  readonly port: number
}

/** Writes an address as `HOST:PORT`, with an IPv6 address in brackets. */
export function formatAddress({ host, port }: LinkAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Reads such an address. Undefined if it is none. */
export function parseAddress(text: string): LinkAddress | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) }
}

/**
 * Opens a link to the node `name` for a client's connection. What is written to it reaches that node's HTTP server as
 * if the client had sent it. It is paused. Rejects if the node can't be reached, or is another one.
 */
export async function openLink(
  address: LinkAddress,
  name: string,
  origin: Origin,
  terms: LinkTerms,
): Promise<Socket> {
  const connection = connect({
    ...address,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
  })
  return await inTime(connection, async () => {
    const hellos = [await readHello(connection), newHello(terms.wantsTls)] as const
    const isSecured = hellos.some(({ wantsTls }) => wantsTls)
    const { link, key } = isSecured
      ? await secure('caller', connection, terms)
      : { link: connection, key: terms.secret }
    await call(link, key, { hellos, name })
    compare(hellos[0], name, terms)
    const text = Buffer.from(JSON.stringify({ ...origin, node: terms.name }))
    const length = Buffer.alloc(2)
    length.writeUInt16BE(text.length)
    link.write(Buffer.concat([length, text]))
    return link
  })
}

/** A listener that only the cluster's nodes can use. */
export interface LinkListener {
  readonly address: LinkAddress
  /** Takes no more links. Those that are there stay. */
  close(): void
}

/**
 * Listens for other nodes. `take` gets each link once its caller has proved what it is, paused, with its client's
 * addresses. Nothing else that a caller sends is read before that, but by TLS where it begins with that. Rejects with
 * Node's own error if the address can't be had.
 */
export async function listenForLinks(
  { host, port }: LinkAddress,
  terms: LinkTerms,
  take: (link: Socket) => void,
): Promise<LinkListener> {
  let newcomers = 0
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS },
    (connection) => {
      if (newcomers >= MAX_NEWCOMERS) {
        connection.on('error', ignore).destroy()
        return
      }
      newcomers++
      const welcome = inTime(connection, () => answer(connection, terms))
      // A stranger is told nothing: its connection closes.
      welcome.then(take, ignore).finally(() => newcomers--)
    },
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return { address: { host, port: portOf(server, port) }, close: () => server.close() }
}

/** Has a caller prove what it is, and say for whom it calls. Resolves with the link to it, paused. */
async function answer(connection: Socket, terms: LinkTerms): Promise<Socket> {
  const hello = newHello(terms.wantsTls)
  connection.write(hello.bytes)
  const [first] = await peekByte(connection)
  const isTls = first === HANDSHAKE_OF_TLS
  if (terms.wantsTls && !isTls) throw new Error('The other node does not speak TLS')
  const { link, key } = isTls
    ? await secure('listener', connection, terms)
    : { link: connection, key: terms.secret }
  const theirs = await answerCall(link, key, hello, terms.name)
  const { node, origin } = await readOrigin(link)
  compare(theirs, node, terms)
  setOrigin(link, origin)
  return link
}

/** Begins TLS. The proofs in it are under a key of this one session, so a program between the nodes can't pass them on. */
async function secure(side: 'caller' | 'listener', connection: Socket, { tlsKey, secret }: LinkTerms) {
  // Loaded only here: most clusters have a network of their own.
  const { bindingOf, secureByKey } = await import('../node/keyed-tls.js')
  const link = await secureByKey(side, connection, tlsKey)
  return { link, key: createHmac('sha256', secret).update(bindingOf(link)).digest() }
}

/** Notes a node that wants TLS where this one doesn't, or the other way round. */
function compare({ wantsTls }: Hello, node: string, terms: LinkTerms): void {
  if (wantsTls !== terms.wantsTls) terms.onOtherWish?.(node)
}

async function peekByte(connection: Socket): Promise<Buffer> {
  const byte = await readBytes(connection, 1)
  connection.unshift(byte)
  return byte
}

/** Runs `greet` while the link is new; if it fails or takes too long, the link is destroyed. */
async function inTime<T>(link: Socket, greet: () => Promise<T>): Promise<T> {
  // Its 'close' follows, and an error without a listener is a crash.
  link.on('error', ignore)
  const { linkMs } = timings
  const late = () => new Error(`The other node did not answer within ${linkMs / 1000} s`)
  const deadline = setTimeout(() => link.destroy(late()), linkMs)
  try {
    return await greet()
  } catch (error) {
    link.destroy()
    // What waited for bytes knows only that the connection is closed.
    throw link.errored ?? error
  } finally {
    clearTimeout(deadline)
  }
}

/** Which node calls, and for whom. */
async function readOrigin(link: Socket): Promise<{ readonly node: string; readonly origin: Origin }> {
  const length = (await readBytes(link, 2)).readUInt16BE()
  if (length > MAX_ORIGIN_BYTES) throw new Error('The other node says too much of its client')
  const said: unknown = JSON.parse((await readBytes(link, length)).toString())
  // A node that knows the secret is trusted, but one of another version may say something else.
  const { node, remoteAddress, remotePort, localAddress, localPort, isEncrypted } = said as Partial<
    Record<keyof Origin | 'node', unknown>
  >
  const origin = {
    remoteAddress: textOrNothing(remoteAddress),
    remotePort: numberOrNothing(remotePort),
    localAddress: textOrNothing(localAddress),
    localPort: numberOrNothing(localPort),
    isEncrypted: isEncrypted === true,
  }
  return { node: textOrNothing(node) ?? 'unknown', origin }
}

function textOrNothing(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function numberOrNothing(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function portOf(server: Server, asked: number): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : asked
}

function ignore(): void {}
