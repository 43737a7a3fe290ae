import { once } from 'node:events'
import { isIP, type OnReadOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { EssError } from '../../shared/index.js'
import { addressesOf, dial } from './dial.js'
import { type HttpProxy, portOf, proxyFor } from './proxy.js'
import { openTunnel } from './tunnel.js'
import { proxyFailed, unreachable, wordsFor } from './wire-errors.js'

/** For DNS, TCP, the proxy's tunnel and TLS together. Once connected, only the server's own limits count. */
const CONNECT_TIMEOUT_MS = 10_000

/** A connection to a server, ready for a request. */
export interface Connection {
  readonly socket: Socket
  /** The TCP socket below `socket`; the same one without TLS. */
  readonly tcp: Socket
  /** True if `onread` reads the connection. */
  readonly isReadDirectly: boolean
}

/** A connection in the making. */
interface Attempt {
  readonly signal: AbortSignal
  /** The sockets opened so far, lowest first. */
  readonly opened: Socket[]
  /** What the server's TLS gets beside its name; the proxy's own TLS doesn't. */
  readonly tls: ConnectionOptions
  /** What we are waiting for. */
  step: string
  /** Makes the error for a failure in the present step: the server's or the proxy's. */
  blame: (words: string, cause?: unknown) => EssError
}

/**
 * Connects to the server of `url`, directly or through the proxy that the environment names. `onread` reads the
 * connection if it is plain TCP all the way. Rejects with EssError `server-unreachable` or `proxy-failed`: after ten
 * seconds at the latest, and at once if `signal` aborts. Then nothing is left open. `tls` overrides how the server's
 * TLS is spoken.
 */
export async function connectTo(
  url: URL,
  signal: AbortSignal,
  onread?: OnReadOpts,
  tls: ConnectionOptions = {},
): Promise<Connection> {
  signal.throwIfAborted()
  const proxy = proxyFor(url)
  const stop = new AbortController()
  const attempt: Attempt = {
    signal: stop.signal,
    opened: [],
    tls,
    step: '',
    blame: (words, cause) => unreachable(url, words, cause),
  }
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    stop.abort()
  }, CONNECT_TIMEOUT_MS)
  const onAbort = () => stop.abort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const socket = await (proxy === undefined
      ? reach(url, attempt, onread, tls)
      : reachThrough(proxy, url, attempt))
    const [tcp = socket] = attempt.opened
    return { socket, tcp, isReadDirectly: socket === tcp && proxy === undefined }
  } catch (error) {
    for (const socket of attempt.opened.reverse()) socket.destroy()
    if (error instanceof EssError) throw error
    if (isLate) throw attempt.blame(`no ${attempt.step} within 10 s`, tooLate(error))
    throw attempt.blame(wordsFor(error), error)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

async function reachThrough(proxy: HttpProxy, url: URL, attempt: Attempt): Promise<Socket> {
  const blameServer = attempt.blame
  attempt.blame = (words, cause) => proxyFailed(proxy, url, words, cause)
  const carrier = await reach(proxy.url, attempt)
  attempt.step = 'answer'
  const tunnel = await openTunnel(carrier, proxy, url, attempt.signal)
  attempt.blame = (words, cause) => blameServer(`${words} (through the proxy ${proxy.shown})`, cause)
  return url.protocol === 'https:' ? await secure(tunnel, hostOf(url), attempt, attempt.tls) : tunnel
}

/** Opens TCP to the host and port of `url`, and TLS if it is https. */
async function reach(
  url: URL,
  attempt: Attempt,
  onread?: OnReadOpts,
  tls: ConnectionOptions = {},
): Promise<Socket> {
  const isSecure = url.protocol === 'https:'
  attempt.step = 'address for its name'
  const addresses = await addressesOf(hostOf(url), attempt.signal)
  attempt.step = 'connection'
  const tcp = await dial(addresses, portOf(url), attempt.signal, isSecure ? undefined : onread)
  attempt.opened.push(tcp)
  return isSecure ? await secure(tcp, hostOf(url), attempt, tls) : tcp
}

async function secure(
  carrier: Socket,
  host: string,
  attempt: Attempt,
  tls: ConnectionOptions = {},
): Promise<Socket> {
  attempt.step = 'TLS handshake'
  const socket = connectTls({ ...tlsName(host), ...tls, socket: carrier })
  attempt.opened.push(socket)
  // `once` hears the first error, and the request hears later ones.
  socket.on('error', () => {})
  await once(socket, 'secureConnect', { signal: attempt.signal })
  return socket
}

/** Our own deadline means the same as the system's. */
function tooLate(cause: unknown): Error {
  return Object.assign(new Error('No connection in time', { cause }), { code: 'ETIMEDOUT' })
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** An address is no server name (RFC 6066, 3), but the certificate is still checked against it. */
function tlsName(host: string) {
  return { host, ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 && { servername: host }) }
}
