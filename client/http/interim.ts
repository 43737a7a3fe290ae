import { once } from 'node:events'
import type { Socket } from 'node:net'

/** The head of a response to CONNECT. */
export interface TunnelAnswer {
  readonly status: number
  /** The schemes that the proxy asks for, as in `Proxy-Authenticate`. */
  readonly authenticate: string
  /** The bytes that follow the head. */
  readonly early: Buffer
}

/** As long as Node lets a head be. */
const MAX_HEAD_BYTES = 16 * 1024
const END_OF_HEAD = '\r\n\r\n'

/** True for a status before the final one (RFC 9110, 15.2). We ask for no switch, so 101 is no answer of that kind. */
export function isInterim(status: number): boolean {
  return status >= 100 && status < 200 && status !== 101
}

/**
 * Reads the final response after an interim one; `early` came right behind that. Node takes the first response to
 * CONNECT for the final one, whatever its status. Rejects with the connection's error, or one with a code like it.
 */
export async function finalAnswer(socket: Socket, early: Buffer, signal: AbortSignal): Promise<TunnelAnswer> {
  let bytes = early
  for (;;) {
    const end = bytes.indexOf(END_OF_HEAD)
    if (end !== -1) {
      const answer = parse(bytes.toString('latin1', 0, end))
      bytes = bytes.subarray(end + END_OF_HEAD.length)
      if (!isInterim(answer.status)) return { ...answer, early: bytes }
    } else if (bytes.length > MAX_HEAD_BYTES) throw coded('HPE_HEADER_OVERFLOW')
    else bytes = Buffer.concat([bytes, await more(socket, signal)])
  }
}

function parse(head: string): { status: number; authenticate: string } {
  const [, status] = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |\r\n|$)/.exec(head) ?? []
  if (status === undefined) throw coded('HPE_INVALID_CONSTANT')
  const schemes = [...head.matchAll(/^proxy-authenticate:(.*)$/gim)].map(([, value = '']) => value.trim())
  return { status: Number(status), authenticate: schemes.join(', ') }
}

async function more(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  for (;;) {
    // A socket without an encoding reads Buffers.
    const bytes = socket.read() as Buffer | null
    if (bytes !== null) return bytes
    if (socket.readableEnded || socket.destroyed) throw coded('ECONNRESET')
    // It comes at the end too, and `once` hears the socket's error.
    await once(socket, 'readable', { signal })
  }
}

/** An error like Node's own. */
function coded(code: string): Error {
  return Object.assign(new Error('The response to CONNECT was cut or malformed'), { code })
}
