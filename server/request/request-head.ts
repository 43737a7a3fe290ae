import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { checkVersion } from '../node/http-version.js'

/** More header fields than any client and the proxies before it have to say. */
const MAX_HEADER_FIELDS = 100

/**
 * Throws EssError `headers-too-large` for a head of too many fields. Node 20 leaves out those beyond the 1,000th and
 * says nothing: one that frames the body would be among what nobody sees.
 */
export function checkHeaderCount({ rawHeaders }: IncomingMessage): void {
  // Names and values in turns.
  const fields = rawHeaders.length / 2
  if (fields <= MAX_HEADER_FIELDS) return
  throw new EssError(
    'headers-too-large',
    `Expected a request head of at most ${MAX_HEADER_FIELDS} fields, got ${fields}`,
  )
}

/** Throws what a head is refused with before anybody asks what it wants: for a server of our own. */
export function checkHead(request: IncomingMessage): void {
  checkVersion(request)
  checkHeaderCount(request)
  const { length } = hostsOf(request)
  // RFC 9112, 3.2: who is asked must not be a matter of which of two a server, or a proxy before it, reads.
  if (length > 1) throw new EssError('bad-request', `Expected one Host header, got ${length}`)
  if (length === 0 && request.httpVersion !== '1.0')
    throw new EssError('bad-request', 'Expected a Host header, got none')
}

/**
 * Each one that is said to be asked; Node keeps the first Host alone in `headers`. In HTTP/2 it is `:authority`, which
 * may be said once more as Host (RFC 9113, 8.3.1).
 */
function hostsOf({ rawHeaders }: IncomingMessage): string[] {
  const hosts: string[] = []
  let authority: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    if (name === ':authority') authority = value
    else if (name.length === 4 && name.toLowerCase() === 'host' && value !== authority) hosts.push(value)
  }
  return authority === undefined ? hosts : [authority, ...hosts]
}
