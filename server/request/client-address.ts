import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { hopsOf, type Trust } from './public-url.js'

/** Stands for a peer without an address: on a Unix socket, or gone already. */
export const NO_ADDRESS = 'none'

/**
 * The address of a request's client, for logs: the peer's, or the one that a trusted proxy names in `X-Forwarded-For`.
 * No other header counts, and no header of an untrusted peer. An IPv4 address inside IPv6 is written as IPv4.
 * `NO_ADDRESS` if there is none.
 */
export function clientAddress(request: IncomingMessage, trust: Trust): string {
  const hop = clientHop(request, trust)
  return isIP(hop) === 6 ? ipaddr.process(hop).toString() : hop
}

/**
 * The client that a request counts for: its IPv4 address, or the first 64 bits of its IPv6 address, because a host that
 * has one address of such a network has all of them (RFC 4291, 2.5.4). All peers without an address are one client.
 */
export function clientOf(request: IncomingMessage, trust: Trust): string {
  return networkOf(clientHop(request, trust))
}

/** What an address counts for: an IPv4 address or `NO_ADDRESS` for itself, an IPv6 address for its first 64 bits. */
export function networkOf(address: string): string {
  // Node accepts one way to write an IPv4 address.
  if (isIP(address) !== 6) return address
  const ip = ipaddr.process(address)
  if (ip.kind() === 'ipv4') return ip.toString()
  const network = ip.toByteArray().fill(0, NETWORK_BYTES)
  return `${ipaddr.fromByteArray(network)}/${8 * NETWORK_BYTES}`
}

const NETWORK_BYTES = 8

/**
 * The last hop that is an address. A trusted proxy may write something else, such as "unknown" or an address with a
 * port. Its clients then count as the proxy, rather than each as the text it brings.
 */
function clientHop(request: IncomingMessage, trust: Trust): string {
  const { remoteAddress } = request.socket
  if (remoteAddress === undefined || !trust(remoteAddress)) return remoteAddress ?? NO_ADDRESS
  return hopsOf(request, trust).findLast((address) => isIP(address) !== 0) ?? remoteAddress
}

/** True for a request whose head says that it passed a proxy. */
export function isProxied({ headers }: IncomingMessage): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined)
}

/** Proxies add these. */
const PROXY_HEADERS = [
  'via',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
] as const
