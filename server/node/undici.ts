import type { IncomingMessage } from 'node:http'

/**
 * True for a request from undici, which is Node's `fetch`. After a head with `Connection: close`, its versions up to
 * Node 20 (6.24) take a reset for the end of a chunked body: the program gets a short file and no error.
 *
 * So a chunked download leaves that field out for undici; its connection ends all the same. Every other client gets
 * it: one that keeps its connections, such as OkHttp or the `Session` of Python's requests, would otherwise not look
 * at this connection until it needs it, and the sender would wait and read "not confirmed".
 */
export function takesResetForEnd({
  rawHeaders,
  headers,
}: Pick<IncomingMessage, 'rawHeaders' | 'headers'>): boolean {
  // undici always writes these two first, in small letters, before the caller's own fields.
  const [first, , second, how] = rawHeaders
  if (first === 'host' && second === 'connection' && how === 'keep-alive') return true
  // A proxy may rewrite the names. A browser's fetch sends Sec-Fetch-Site too; undici doesn't.
  return headers['sec-fetch-mode'] !== undefined && headers['sec-fetch-site'] === undefined
}
