import type { Socket } from 'node:net'

/** The descriptor of a connected socket, or undefined where Node does not have or tell one (TLS, Windows). */
export function descriptorOf(socket: Socket): number | undefined {
  // Not in Node's types: the socket's handle, of which libuv tells the descriptor, -1 once it is closed.
  const { _handle: handle } = socket as { _handle?: { fd?: unknown } | null }
  const fd = handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
