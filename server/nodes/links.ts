import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Origin, setOrigin } from '../node/origin.js'
import { answerCall, call, HANDSHAKE_MS, readBytes } from './handshake.js'

/** How long a link may be silent before the kernel checks whether the other node is still there. */
const KEEP_ALIVE_PROBE_MS = 30_000

/** How many callers may be in their handshake at a time. Each holds a descriptor, and may be a stranger. */
const MAX_NEWCOMERS = 512

/** Addresses of IPv6 and two ports take less than 200 bytes. */
const MAX_ORIGIN_BYTES = 1024

/** What both ends of a link have to know. */
export interface LinkTerms {
  /** The cluster's secret, or what was made of it for links. */
  readonly secret: Buffer
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
  { secret }: LinkTerms,
): Promise<Socket> {
  const link = connect({
    ...address,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
  })
  return await inTime(link, async () => {
    await call(link, secret, name)
    const text = Buffer.from(JSON.stringify(origin))
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
 * Listens for other nodes, as the node `name`. `take` gets each link once its caller has proved what it is, paused, with
 * its client's addresses. Nothing else that a caller sends is read before that. Rejects with Node's own error if the
 * address can't be had.
 */
export async function listenForLinks(
  { host, port }: LinkAddress,
  name: string,
  { secret }: LinkTerms,
  take: (link: Socket) => void,
): Promise<LinkListener> {
  let newcomers = 0
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS },
    (link) => {
      if (newcomers >= MAX_NEWCOMERS) {
        link.on('error', ignore).destroy()
        return
      }
      newcomers++
      const welcome = inTime(link, async () => {
        await answerCall(link, secret, name)
        setOrigin(link, await readOrigin(link))
      })
      // A stranger is told nothing: its connection closes.
      welcome.then(() => take(link), ignore).finally(() => newcomers--)
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

/** Runs `greet` while the link is new; if it fails or takes too long, the link is destroyed. */
async function inTime<T>(link: Socket, greet: () => Promise<T>): Promise<T> {
  // Its 'close' follows, and an error without a listener is a crash.
  link.on('error', ignore)
  const late = () => new Error(`The other node did not answer within ${HANDSHAKE_MS / 1000} s`)
  const deadline = setTimeout(() => link.destroy(late()), HANDSHAKE_MS)
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

async function readOrigin(link: Socket): Promise<Origin> {
  const length = (await readBytes(link, 2)).readUInt16BE()
  if (length > MAX_ORIGIN_BYTES) throw new Error('The other node says too much of its client')
  const said: unknown = JSON.parse((await readBytes(link, length)).toString())
  // A node that knows the secret is trusted, but one of another version may say something else.
  const { remoteAddress, remotePort, localAddress, localPort, isEncrypted } = said as Partial<
    Record<keyof Origin, unknown>
  >
  return {
    remoteAddress: textOrNothing(remoteAddress),
    remotePort: numberOrNothing(remotePort),
    localAddress: textOrNothing(localAddress),
    localPort: numberOrNothing(localPort),
    isEncrypted: isEncrypted === true,
  }
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
