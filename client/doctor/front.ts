import type { IncomingMessage } from 'node:http'
import type { Front } from './causes.js'

/** Which proxy an answer shows: `none` has no sign of any, and undefined is one that can't be told. */
export type SeenFront = Front | 'none' | undefined

const SIGNS: readonly (readonly [front: Front, field: string, value: RegExp])[] = [
  // Cloudflare writes over the `Server` of what is behind it, so it comes first.
  ['cloudflare', 'server', /^cloudflare/i],
  ['cloudflare', 'cf-ray', /./],
  ['nginx', 'server', /^(?:nginx|openresty|tengine)/i],
  ['caddy', 'server', /^caddy/i],
  ['caddy', 'via', /caddy/i],
  ['apache', 'server', /^apache/i],
  ['traefik', 'server', /^traefik/i],
  ['haproxy', 'server', /^haproxy/i],
]

/** The proxy that an answer of any kind names. */
export function namedFront({ headers }: IncomingMessage): SeenFront {
  const sign = SIGNS.find(([, field, value]) => value.test(String(headers[field] ?? '')))
  if (sign !== undefined) return sign[0]
  return headers['server'] === undefined && headers.via === undefined ? 'none' : undefined
}

/** The proxy whose own error page this is. */
export function writtenBy(page: string): SeenFront {
  return PAGES.find(([, words]) => words.test(page))?.[0] ?? 'none'
}

const PAGES: readonly (readonly [front: Front, words: RegExp])[] = [
  ['haproxy', /No server is available to handle this request|returned an invalid or incomplete response/],
  ['traefik', /^(?:Bad Gateway|Gateway Timeout|404 page not found)\s*$/],
]

/**
 * The proxy that shows in how the names of the fields are written. `head` is a refusal of ESS, whose own names begin
 * with capitals and stand in no order of the alphabet. haproxy in mode http writes them small; a Go program, of which
 * Traefik is the one that doesn't name itself, sorts them.
 */
export function writtenFront({ rawHeaders }: IncomingMessage): SeenFront {
  const names = rawHeaders.filter((_, index) => index % 2 === 0)
  if (names.length < 4) return 'none'
  if (names.every((name) => name === name.toLowerCase())) return 'haproxy'
  // Go writes this one last, by itself.
  const sorted = names.filter((name) => name !== 'Connection')
  return sorted.every((name, index) => index === 0 || (sorted[index - 1] ?? '') <= name) ? 'traefik' : 'none'
}
