import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { RawBody } from './raw-body.js'

const PROBE_BYTES = 256 * 1024
const PROBE_MS = 5000

/** True once a probe has found nothing wrong: this Node on this machine works, and isn't asked again. */
let hasWorked = false

/**
 * Sends a body over a connection from this machine to itself, and reads it raw. Returns undefined if every byte came as
 * it was sent, and otherwise what went wrong. Meanwhile a port is open, to this machine alone.
 */
export async function probeRawBody(): Promise<string | undefined> {
  if (hasWorked) return undefined
  const bytes = randomBytes(PROBE_BYTES)
  const server = createServer()
  const deadline = AbortSignal.timeout(PROBE_MS)
  try {
    const arrived = hashOfBody(server, deadline)
    // Nothing waits for it if the loopback device is down, and an unhandled rejection would end the server.
    arrived.catch(() => undefined)
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
    // A server that listens on TCP has this kind of address.
    const { port } = server.address() as AddressInfo
    const sender = connect(port, '127.0.0.1').on('error', () => undefined)
    sender.write(`PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${PROBE_BYTES}\r\n\r\n`)
    sender.write(bytes)
    const hash = await arrived
    sender.destroy()
    hasWorked = hash === createHash('sha256').update(bytes).digest('hex')
    return hasWorked ? undefined : 'bytes came out changed'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

function hashOfBody(server: Server, deadline: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    deadline.addEventListener('abort', () => reject(new Error(`no bytes within ${PROBE_MS / 1000} s`)))
    server.once('request', (request: IncomingMessage) => {
      const body = RawBody.take(request, (detail) => reject(new Error(detail)))
      if (body === undefined) {
        reject(new Error('this Node does not let a connection be read by its handle'))
        return
      }
      setImmediate(() => {
        const hash = createHash('sha256')
        const buffer = Buffer.allocUnsafeSlow(16 * 1024)
        let left = PROBE_BYTES
        const take = (bytes: Buffer) => {
          hash.update(bytes)
          left -= bytes.length
          if (left === 0) resolve(hash.digest('hex'))
          return left > 0
        }
        if (take(body.start({ buffer: () => buffer, take }))) body.resume()
      })
    })
  })
}
