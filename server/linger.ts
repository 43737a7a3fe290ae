import type { Socket } from 'node:net'

/** How long a peer that is still sending may go on until it has read why its request was refused. */
const DRAIN_MS = 2000

/**
 * Closes a connection whose peer may still be sending: our half is closed after what was written, the rest of
 * what comes is thrown away until the peer closes its half, for at most 2 s. Closing at once would answer the
 * peer's next byte with a reset, and a reset destroys what the peer has not read yet (RFC 9112, 9.6).
 */
export function closeGently(connection: Socket): void {
  connection.end()
  connection.resume()
  const deadline = setTimeout(() => connection.destroy(), DRAIN_MS)
  connection.once('close', () => clearTimeout(deadline))
}
