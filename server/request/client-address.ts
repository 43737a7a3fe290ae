import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { hopsOf, type Trust } from './public-url.js'

/** What stands for whoever has no address: the peers of a Unix socket, and those that have left already. */
export const NO_ADDRESS = 'none'

/**
 * The address of a request's client, for logs: the peer's, or the one that a trusted proxy names in
 * `X-Forwarded-For`. No other header counts, and none of a peer that is not trusted. An IPv4 address inside IPv6
 * is written as the IPv4 address that it is. `NO_ADDRESS` where there is none.
 */
export function clientAddress(request: IncomingMessage, trust: Trust): string {
  const hop = clientHop(request, trust)
  return isIP(hop) === 6 ? ipaddr.process(hop).toString() : hop
}

/**
 * The client that a request counts for: its address, or of an IPv6 address the first 64 bits, because whoever has
 * one address of a network has all of them (RFC 4291, 2.5.4). All without an address are one client.
 */
export function clientOf(request: IncomingMessage, trust: Trust): string {
  return networkOf(clientHop(request, trust))
}

/** What an address counts for: itself, or of an IPv6 address the first 64 bits. `NO_ADDRESS` for itself. */
export function networkOf(address: string): string {
  // What Node takes for an IPv4 address has but one way to be written.
  if (isIP(address) !== 6) return address
  const ip = ipaddr.process(address)
  if (ip.kind() === 'ipv4') return ip.toString()
  const network = ip.toByteArray().fill(0, NETWORK_BYTES)
  return `${ipaddr.fromByteArray(network)}/${8 * NETWORK_BYTES}`
}

const NETWORK_BYTES = 8

/**
 * The last hop that is an address. A proxy that is believed may write something else there, such as "unknown" or
 * an address with a port: its clients count as the proxy then, and not each as the text it brings.
 */
function clientHop(request: IncomingMessage, trust: Trust): string {
  const { remoteAddress } = request.socket
  if (remoteAddress === undefined || !trust(remoteAddress)) return remoteAddress ?? NO_ADDRESS
  return hopsOf(request, trust).findLast((address) => isIP(address) !== 0) ?? remoteAddress
}

/** True for a request that says it has passed a proxy. */
export function isProxied({ headers }: IncomingMessage): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined)
}

/** Any of these says that the request has passed a proxy. */
const PROXY_HEADERS = [
  'via',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
] as const
