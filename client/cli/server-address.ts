import { isIP } from 'node:net'
import { EssError, withoutUserinfo } from '../../shared/index.js'
import { expectNoKey } from '../../shared/misplaced-key.js'

const HTTP_URL = /^https?:\/\//i

/** Names on a network of your own. No authority on the internet gives out certificates for them. */
const LOCAL_NAME = /^[^.]+$|\.(?:localhost|local|lan|internal|home\.arpa)$/i

/** True for a whole http(s) URL. */
export function isHttpUrl(typed: string): boolean {
  return HTTP_URL.test(typed) && URL.canParse(typed)
}

/**
 * `HOST[:PORT][/PATH]` as a URL; undefined if it can't be one. This is the whole rule for an address that says no scheme:
 *
 * 1. If host and port are those of `own`, a server whose scheme is known: its scheme.
 * 2. Port 443: https. Any other port: http, because `ess-server` listens so.
 * 3. Without a port: https for a name of the internet; http for an IP address, and for a name that has no dot or ends in
 *    .localhost, .local, .lan, .internal or .home.arpa.
 *
 * Two slashes before it count for nothing: `//HOST` is how a web page writes such an address.
 * A wrong guess is told as a failure. Nothing else is tried then: after a failed https, a token must not go out in clear.
 */
export function withScheme(typed: string, own?: string): string | undefined {
  const address = typed.replace(/^\/\/(?!\/)/, '')
  // The parser would look for the host behind any number of slashes, of both kinds.
  if (/^[/\\]/.test(address) || !URL.canParse(`http://${address}`)) return undefined
  const [authority = ''] = address.split(/[/?#]/)
  if (own !== undefined) {
    const { protocol, host } = new URL(own)
    if (new URL(`${protocol}//${authority}`).host === host) return `${protocol}//${address}`
  }
  return `${guessedScheme(authority)}://${address}`
}

function guessedScheme(authority: string): 'http' | 'https' {
  const [, port] = /:(\d+)$/.exec(authority) ?? []
  if (port !== undefined) return Number(port) === 443 ? 'https' : 'http'
  const name = new URL(`http://${authority}`).hostname.replace(/^\[|\]$|\.$/g, '')
  return isIP(name) !== 0 || LOCAL_NAME.test(name) ? 'http' : 'https'
}

/** Reads the address of a server. `source` is where it was set. Throws EssError `usage`. */
export function serverUrl(typed: string, source: string): string {
  const shown = JSON.stringify(withoutUserinfo(typed))
  const wrong = (what: string) =>
    new EssError('usage', `${what} Write an address such as https://send.example.org or 192.168.1.5:9000.`)
  if (typed.trim() === '') throw wrong(`${source} is empty.`)
  expectNoKey(typed)
  if (/^https?:\/*$/i.test(typed)) throw wrong(`${source} is ${shown}, which names no server.`)
  if (/^https?:\/?[^/]/i.test(typed))
    throw wrong(`${source} is ${shown}, which lacks a slash: it begins with http:// or https://.`)
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(typed) ?? []
  if (scheme !== undefined && !HTTP_URL.test(typed))
    throw wrong(`${source} is ${shown}, but ess speaks http and https, not ${scheme}.`)
  if (/[?#]/.test(typed)) throw wrong(`${source} is ${shown}. The address of a server has no ? and no #.`)
  const url = scheme === undefined ? withScheme(typed) : typed
  if (url === undefined || !URL.canParse(url))
    throw wrong(`${source} is ${shown}, which is no address of a server.`)
  return url
}
