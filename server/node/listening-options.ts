import type { Server } from 'node:net'

/** What Node's server sets on each accepted connection, and the listening handle on which it can be set once. */
interface ServerInside {
  _handle?: {
    setNoDelay?(isOn: boolean): number
    setKeepAlive?(isOn: boolean, seconds: number): number
  } | null
  noDelay?: boolean
  keepAlive?: boolean
}

/**
 * Sets no delay and keep-alive on the listening socket, which saves five system calls for each connection. Call it on
 * a server that listens. It works on Linux alone, where an accepted connection inherits these options.
 */
export function setOptionsOnce(server: Server, keepAliveSeconds: number): void {
  if (process.platform !== 'linux') return
  // The same object, with members that Node's types leave out.
  const inside = server as unknown as ServerInside
  const handle = inside._handle
  const isSet =
    typeof inside.noDelay === 'boolean' &&
    typeof inside.keepAlive === 'boolean' &&
    handle?.setNoDelay?.(true) === 0 &&
    handle.setKeepAlive?.(true, keepAliveSeconds) === 0
  if (isSet) [inside.noDelay, inside.keepAlive] = [false, false]
}
