import type { IncomingMessage } from 'node:http'
import { EssError, formatCount } from '../../shared/index.js'

/** More fields than any client and its proxies have a use for. */
const MAX_HEADER_FIELDS = 100

/**
 * Throws EssError `headers-too-large` for a head of too many fields. Node 20 silently drops all after the 1,000th, and
 * one that frames the body could be among them.
 */
export function checkHeaderCount({ rawHeaders }: IncomingMessage): void {
  // Names and values alternate.
  const fields = rawHeaders.length / 2
  if (fields <= MAX_HEADER_FIELDS) return
  throw new EssError(
    'headers-too-large',
    `The request has ${formatCount(fields, 'header')}, and this server takes at most ${MAX_HEADER_FIELDS}. Send fewer.`,
  )
}

/**
 * Throws EssError `bad-request` unless a request says once for which host it is (RFC 9112, 3.2): of two, a proxy might
 * read one and this server the other.
 */
export function checkHosts(request: IncomingMessage): void {
  const { length } = hostsOf(request)
  if (length > 1)
    throw new EssError(
      'bad-request',
      `The request has ${length} Host headers, and must have one. Check the program that sends it, and any proxy on the way.`,
    )
  if (length === 0 && request.httpVersion !== '1.0')
    throw new EssError(
      'bad-request',
      'The request has no Host header. Check the program that sends it, and any proxy on the way.',
    )
}

/**
 * Every host that the head names; Node keeps only the first Host in `headers`. HTTP/2 names it by `:authority`, and may
 * repeat that as Host (RFC 9113, 8.3.1).
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
