import type { ClientRequest, IncomingMessage } from 'node:http'
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'
import { EssError } from '../shared/index.js'

/** Called with a new connection, and the TCP socket below it (the same one, unless it speaks TLS). */
export type OnConnection = (socket: Socket, tcp: Socket) => void

/** How an HTTP request gets its connection: made by us, or by an agent that tunnels. */
export type Route =
  | { readonly createConnection: () => Socket }
  | { readonly agent: { readonly http: Tunnel; readonly https: Tunnel } }

// `allowHalfOpen`: after the server's FIN we still owe it ours. Keep-alive finds a peer that vanished.
const TCP_OPTIONS = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }

/**
 * The way to `url`: straight, or through the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY,
 * ALL_PROXY, NO_PROXY). `onread` reads a connection that is plain TCP all the way. Throws EssError `server-unreachable` for a proxy that is not an HTTP one.
 */
export function routeTo(url: URL, onConnection: OnConnection, onread?: OnReadOpts): Route {
  const proxy = getProxyForUrl(url)
  if (proxy === '') return { createConnection: () => connectDirectly(url, onConnection, onread) }
  if (!URL.canParse(proxy) || !/^https?:$/.test(new URL(proxy).protocol))
    throw new EssError('server-unreachable', `Expected the proxy to be an http:// URL, got ${proxy}`)
  const tunnel = new Tunnel(proxy, onConnection)
  return { agent: { http: tunnel, https: tunnel } }
}

function connectDirectly(url: URL, onConnection: OnConnection, onread?: OnReadOpts): Socket {
  const isSecure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (isSecure ? 443 : 80))
  const tcp = connectTcp({ ...TCP_OPTIONS, host, port, ...(!isSecure && onread !== undefined && { onread }) })
  const socket = isSecure ? connectTls({ ...tlsName(host), socket: tcp }) : tcp
  onConnection(socket, tcp)
  return socket
}

/** RFC 6066, 3: an address is no server name, but the certificate is still checked against it. */
function tlsName(host: string) {
  return { host, ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 && { servername: host }) }
}

type ConnectOptions = Parameters<HttpsProxyAgent<string>['connect']>[1]

/** A CONNECT tunnel for http and https alike, so that no proxy gets to meddle with the early response. */
class Tunnel extends HttpsProxyAgent<string> {
  readonly #onConnection: OnConnection

  constructor(proxy: string, onConnection: OnConnection) {
    super(proxy, TCP_OPTIONS)
    this.#onConnection = onConnection
  }

  override async connect(request: ClientRequest, options: ConnectOptions): Promise<Socket> {
    let tcp: Socket | undefined
    let status = 0
    request.once('proxy', (proxied: { socket: Socket }) => {
      tcp = proxied.socket
    })
    request.once('proxyConnect', (answer: IncomingMessage) => {
      status = answer.statusCode ?? 0
    })
    const socket = await super.connect(request, options)
    if (status !== 200) {
      socket.destroy()
      throw new Error(`the proxy ${this.proxy.host} refused the tunnel with HTTP ${status}`)
    }
    this.#onConnection(socket, tcp ?? socket)
    return socket
  }
}
