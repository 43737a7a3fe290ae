import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import proxyAddr from 'proxy-addr'
import { EssError } from '../../shared/index.js'

/** True for the address of a proxy whose forwarded headers are believed. */
export type Trust = (address: string) => boolean

/**
 * Reads the option `trustProxy`: addresses, CIDR ranges, or `loopback`, `linklocal`, `uniquelocal`. Throws EssError
 * `usage` for anything else.
 */
export function compileTrust(proxies: readonly string[]): Trust {
  try {
    const trusts = proxyAddr.compile([...proxies])
    return (address) => trusts(address, 0)
  } catch (error) {
    throw new EssError(
      'usage',
      `"trustProxy" must be addresses, ranges such as 10.0.0.0/8, or loopback, linklocal or uniquelocal, not ${JSON.stringify(proxies.join(','))}.`,
      { cause: error },
    )
  }
}

/**
 * The addresses that a request came by, the nearest first: the peer's, then those of `X-Forwarded-For` from the right,
 * as long as each is trusted to name the next. The last one is the client's.
 */
export function hopsOf(request: IncomingMessage, trust: Trust): string[] {
  return proxyAddr.all(request, trust)
}

/** A host that can stand in a URL: a name, an IPv4 address, or an IPv6 address in brackets; then a port, or none. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** True for a Host, or a proxy's report of one, that can stand in a URL as it is. */
export function isHost(host: string): boolean {
  return HOST.test(host)
}

/** Finds the host in a target that is a whole URL. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i

/**
 * The host that a request is for. If the target is a whole URL, its host counts and the Host field doesn't (RFC 9112,
 * 3.2.2). Undefined if the request names none, as HTTP/1.0 may.
 */
export function requestedHost({ url = '/', headers }: IncomingMessage): string | undefined {
  return url.startsWith('/') ? headers.host : (ABSOLUTE.exec(url)?.[1] ?? headers.host)
}

/**
 * The base of the URLs in this request's answer: the operator's `baseUrl`, or the host that the request came to, as a
 * trusted proxy reports it. It has no final slash. Throws EssError `bad-request` for an invalid host or scheme.
 */
export function publicBaseUrl(
  request: IncomingMessage,
  options: { readonly baseUrl: string | undefined; readonly trust: Trust },
): string {
  if (options.baseUrl !== undefined) return options.baseUrl
  const { socket, headers } = request
  const reported = [headers['x-forwarded-proto'], headers['x-forwarded-host']] as const
  const isReported = reported.some((header) => header !== undefined)
  // Asking for the peer's address costs a system call, so it comes last.
  const isTrusted = isReported && options.trust(socket.remoteAddress ?? '')
  const [forwardedScheme, forwardedHost] = isTrusted ? reported.map(firstOf) : []
  const isTls = (socket as Partial<TLSSocket>).encrypted === true
  const scheme = forwardedScheme?.toLowerCase() ?? (isTls ? 'https' : 'http')
  const host = forwardedHost ?? requestedHost(request) ?? localHost(request)
  if (!isHost(host))
    throw new EssError(
      'bad-request',
      `The request's host, ${JSON.stringify(host)}, is not a host name. Check the Host header, or the X-Forwarded-Host of a proxy.`,
    )
  if (scheme !== 'http' && scheme !== 'https') {
    throw new EssError(
      'bad-request',
      `A proxy says that the request came by ${JSON.stringify(scheme)}, which is neither http nor https. Check its X-Forwarded-Proto.`,
    )
  }
  return `${scheme}://${host}`
}

/** The first value is the client's: each proxy on the way appends its own. */
function firstOf(header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header
  return value?.split(',')[0]?.trim() || undefined
}

/** An HTTP/1.0 client may send no Host. It reached this server at this address. */
function localHost({ socket }: IncomingMessage): string {
  const address = socket.localAddress ?? 'localhost'
  return `${address.includes(':') ? `[${address}]` : address}:${socket.localPort}`
}
