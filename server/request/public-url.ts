import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import proxyAddr from 'proxy-addr'
import { EssError } from '../../shared/index.js'

/** Whether the peer at this address is a proxy whose forwarded headers are believed. */
export type Trust = (address: string) => boolean

/**
 * Reads a list of trusted proxies: addresses, CIDR ranges, or `loopback`, `linklocal`, `uniquelocal`.
 * Throws EssError `usage` on anything else.
 */
export function compileTrust(proxies: readonly string[]): Trust {
  try {
    const trusts = proxyAddr.compile([...proxies])
    return (address) => trusts(address, 0)
  } catch (error) {
    throw new EssError(
      'usage',
      `Expected "trustProxy" to list addresses or CIDR ranges such as 10.0.0.0/8, got ${JSON.stringify(proxies.join(','))}`,
      { cause: error },
    )
  }
}

/**
 * The addresses that a request came by, the nearest first: the peer's, then those of `X-Forwarded-For` from the
 * right, as long as each one is trusted to name the next. The last one is the client's.
 */
export function hopsOf(request: IncomingMessage, trust: Trust): string[] {
  return proxyAddr.all(request, trust)
}

/** A host as it may stand in a URL: a name or an IPv4 address, or an IPv6 address in brackets; a port. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** True for a Host, or what a proxy says it was, that can stand in a URL as it is. */
export function isHost(host: string): boolean {
  return HOST.test(host)
}

/** The host in a target that is a whole URL. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i

/**
 * The host that a request is for: the one in its target, where that is a whole URL, and a Host beside it is ignored
 * (RFC 9112, 3.2.2); undefined where it says none, as HTTP/1.0 may.
 */
export function requestedHost({ url = '/', headers }: IncomingMessage): string | undefined {
  return url.startsWith('/') ? headers.host : (ABSOLUTE.exec(url)?.[1] ?? headers.host)
}

/**
 * The base of the URLs this request is told: the operator's `baseUrl`, or the host the request came to, as a
 * trusted proxy reports it. No final slash. Throws EssError `bad-request` for a Host that is not one.
 */
export function publicBaseUrl(
  request: IncomingMessage,
  options: { readonly baseUrl: string | undefined; readonly trust: Trust },
): string {
  if (options.baseUrl !== undefined) return options.baseUrl
  const { socket, headers } = request
  const reported = [headers['x-forwarded-proto'], headers['x-forwarded-host']] as const
  const isReported = reported.some((header) => header !== undefined)
  // Whose connection it is costs a call of the kernel's.
  const isTrusted = isReported && options.trust(socket.remoteAddress ?? '')
  const [forwardedScheme, forwardedHost] = isTrusted ? reported.map(firstOf) : []
  const isTls = (socket as Partial<TLSSocket>).encrypted === true
  const scheme = forwardedScheme?.toLowerCase() ?? (isTls ? 'https' : 'http')
  const host = forwardedHost ?? requestedHost(request) ?? localHost(request)
  if (!isHost(host)) throw new EssError('bad-request', `Expected a host name, got ${JSON.stringify(host)}`)
  if (scheme !== 'http' && scheme !== 'https') {
    throw new EssError('bad-request', `Expected http or https, got ${JSON.stringify(scheme)}`)
  }
  return `${scheme}://${host}`
}

/** The value nearest to the client, where each proxy on the way added its own. */
function firstOf(header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header
  return value?.split(',')[0]?.trim() || undefined
}

/** An HTTP/1.0 client need not send a Host: it reached us at this address. */
function localHost({ socket }: IncomingMessage): string {
  const address = socket.localAddress ?? 'localhost'
  return `${address.includes(':') ? `[${address}]` : address}:${socket.localPort}`
}
