import type { Socket } from 'node:net'
import { Attachment } from './attachment.js'

/** Where a connection comes from, as its first node saw it. */
export interface Origin {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  /** True for TLS. */
  readonly isEncrypted: boolean
}

const carried = new Attachment<object, true>('carried')

/** Has a connection between nodes pass for the client's own: everything that asks who is there reads this. */
export function setOrigin(connection: Socket, { isEncrypted, ...addresses }: Origin): void {
  for (const [name, value] of Object.entries(addresses))
    Object.defineProperty(connection, name, { value, configurable: true })
  // It is there on connections of TLS alone: those of clients, and links inside it.
  if (isEncrypted || 'encrypted' in connection)
    Object.defineProperty(connection, 'encrypted', { value: isEncrypted, configurable: true })
  carried.set(connection, true)
}

/** True for a connection that another node has brought here. */
export function isBrought(connection: object): boolean {
  return carried.get(connection) === true
}

/** What `setOrigin` needs to know of a client's connection: of TCP, of TLS, or one stream of HTTP/2. */
export function originOf(
  connection: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'> & {
    readonly encrypted?: boolean
  },
): Origin {
  const { remoteAddress, remotePort, localAddress, localPort, encrypted } = connection
  return { remoteAddress, remotePort, localAddress, localPort, isEncrypted: encrypted === true }
}
