import { QUERY, resolveDownloadUrl, splitSealedLink } from '../../shared/index.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { Keyring } from './keyring.js'
import type { ReceiveOptions } from './offer.js'

/** What is to be received, and the keys that open it. */
export interface Wanted {
  /** Without the fragment, which may be a key: no request, no message and no log gets to see it. */
  readonly url: URL
  readonly keyring: Keyring
  /** True if a server that is away was asked for long enough already. */
  readonly isTried: boolean
}

/**
 * Reads an id or a link. Throws EssError `usage` for text that is neither, and for a key that is none or not whole; it
 * never quotes one.
 */
export function wantedOf(idOrUrl: string, options: ReceiveOptions): Wanted {
  const { server, wait, identities = [], passphrase, sealed = false } = options
  const { link, identity } = splitSealedLink(idOrUrl)
  const url = resolveDownloadUrl(link, String(server ?? DEFAULT_SERVER))
  if (wait !== undefined) url.searchParams.set(QUERY.wait, String(wait))
  const keys = identity === undefined ? identities : [identity, ...identities]
  const keyring = new Keyring({
    identities: keys,
    passphrase,
    isFromLink: identity !== undefined,
    isStrict: sealed,
  })
  return { url, keyring, isTried: false }
}

/** The same URL after some of the time to wait for the sender has passed. */
export function afterWaiting(url: URL, ms: number): URL {
  const rest = new URL(url)
  const waitS = url.searchParams.get(QUERY.wait)
  if (waitS === null || !/^\d+$/.test(waitS)) return rest
  rest.searchParams.set(QUERY.wait, String(Math.max(0, Number(waitS) - Math.floor(ms / 1000))))
  return rest
}
