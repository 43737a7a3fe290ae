import { lookup } from 'node:dns/promises'
import { BlockList, isIPv6 } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/**
 * True where others than this machine could reach a server on `host`: any address of it that is not loopback. A
 * private range is a network of others, too, and an empty host is every address. Rejects with Node's own error for
 * a name that is not to be found.
 */
export async function isExposed(host: string): Promise<boolean> {
  if (host === '') return true
  const addresses = await lookup(host, { all: true })
  return !addresses.every(({ address }) => LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'))
}
