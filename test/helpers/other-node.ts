/** Where each node's receivers go, by the node's port: to another node of its cluster. */
const others = new Map<string, string>()

/**
 * How many nodes a server of a test is. With two, receivers go to another node than their sender. Three and more are
 * behind a balancer, and have no other address than its own.
 */
export const NODES = Number(process.env['ESS_NODES'] ?? 1)

/** True where nodes carry to each other inside TLS. */
export const IS_CLUSTER_TLS = process.env['ESS_NODES_TLS'] !== undefined

/** True where a balancer is in front of the nodes. */
export const IS_BALANCED = NODES > 2

/** From now on, links of one node are asked for at another one. Both are URLs without a final slash. */
export function setOtherNode(home: string, other: string): void {
  others.set(new URL(home).host, new URL(other).host)
}

/** The same link at the other node; the link itself where there is none. */
export function atOtherNode(link: string): string {
  if (!URL.canParse(link)) return link
  const url = new URL(link)
  const other = others.get(url.host)
  return other === undefined ? link : link.replace(url.host, other)
}

/** The port of the other node; the same port where there is none. */
export function otherPort(port: number): number {
  return Number(new URL(atOtherNode(`http://127.0.0.1:${port}/`)).port)
}
