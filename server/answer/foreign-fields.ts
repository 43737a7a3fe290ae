import type { ResponsePort } from '../node/ports.js'

/**
 * The fields that say where a body ends, how it is coded, which part of a file it is, or what its digest is. They are
 * true of the body that a host had in mind, and a client would take ours by them: a `Content-Length` of 3 makes any
 * download a whole one of 3 bytes.
 */
const ABOUT_THE_BODY: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['content-encoding', 'content-length', 'content-range'],
  ...['content-digest', 'content-md5', 'digest', 'repr-digest'],
])

/**
 * Removes those that a host has set; its other fields stay. Call it right before you write a head, and before you set
 * one of them yourself.
 */
export function removeForeignFields(response: ResponsePort): void {
  if (response.headersSent) return
  for (const name of response.getHeaderNames()) {
    if (!ABOUT_THE_BODY.has(name.toLowerCase())) continue
    // A host that ends its connections, because it stops, goes on doing so.
    if (name === 'connection' && /\bclose\b/i.test(String(response.getHeader(name))))
      response.shouldKeepAlive = false
    response.removeHeader(name)
  }
}
