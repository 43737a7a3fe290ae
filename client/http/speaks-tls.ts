import { connectTo } from './connect.js'
import { portOf } from './proxy.js'

/** A server has its part of the handshake at once. */
const HANDSHAKE_MS = 2_000

/** True if TLS is spoken at the host and port of `url`, whatever its certificate is worth. Never rejects. */
export async function speaksTls(url: URL, signal: AbortSignal | undefined): Promise<boolean> {
  const late = AbortSignal.timeout(HANDSHAKE_MS)
  const stop = signal === undefined ? late : AbortSignal.any([signal, late])
  const secure = new URL(`https://${url.hostname}:${portOf(url)}`)
  try {
    const { socket } = await connectTo(secure, stop, undefined, { rejectUnauthorized: false })
    socket.destroy()
    return true
  } catch {
    // It has refused, or says nothing.
    return false
  }
}
