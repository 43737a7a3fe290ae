import { networkInterfaces } from 'node:os'

/** What `os.networkInterfaces` says of one address. */
interface InterfaceAddress {
  readonly address: string
  readonly family: string
  readonly internal: boolean
}

/** Addresses that stand for all of a machine's. Another node can't connect to one. */
const WILDCARDS: readonly string[] = ['0.0.0.0', '::']

/** True for an address that stands for all of a machine's. */
export function isWildcard(host: string): boolean {
  return WILDCARDS.includes(host)
}

/**
 * The addresses at which other machines may reach a listener on this wildcard. Those of IPv6 count only where there are
 * none of IPv4, because a machine has several of IPv6, some for a day.
 */
export function reachableAddresses(
  wildcard: string,
  interfaces: Readonly<Record<string, readonly InterfaceAddress[] | undefined>> = networkInterfaces(),
): readonly string[] {
  const others = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    // One that holds on its own link alone needs the name of the link, which differs on each machine.
    .filter(({ address, internal }) => !internal && !/^(?:fe[89ab]|169\.254\.)/i.test(address))
  const of = (family: string) => others.filter((each) => each.family === family).map(({ address }) => address)
  const reachable = of('IPv4')
  return reachable.length > 0 || wildcard === '0.0.0.0' ? reachable : of('IPv6')
}
