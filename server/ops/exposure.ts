import { lookup } from 'node:dns/promises'
import { BlockList, isIPv6 } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/**
 * True if other machines could reach a server on `host`: one of its addresses is not loopback. A private network has
 * other machines too, and an empty host means every address. Rejects with Node's own error if the name can't be found.
 */
export async function isExposed(host: string): Promise<boolean> {
  if (host === '') return true
  const addresses = await lookup(host, { all: true })
  return !addresses.every(({ address }) => LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'))
}
