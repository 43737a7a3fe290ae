import { EssError } from '../shared/index.js'

const UNKNOWN_AUTHORITY =
  'its certificate is from no known authority (NODE_EXTRA_CA_CERTS can name a file with one)'

/** Causes whose own words would not help. */
const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'no route to that host',
  ENETUNREACH: 'no route to that network',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name could not be looked up',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  EPROTO: 'it does not speak TLS as expected',
  ETIMEDOUT: 'no answer in time',
}

/** Node's code for an error, or '' for one without. */
export function codeOf(error: unknown): string {
  const isCoded = error instanceof Error && 'code' in error && typeof error.code === 'string'
  return isCoded ? String(error.code) : ''
}

/** What went wrong with an exchange, said as people need it. */
export function translate(error: unknown, url: URL, isConnected: boolean): EssError {
  const code = codeOf(error)
  const words = CAUSES[code] ?? (error instanceof Error ? error.message : String(error))
  if (!isConnected) return unreachable(url, words, error)
  if (code.startsWith('HPE_'))
    return new EssError(
      'not-ess',
      `Expected an ESS server at ${url.origin}, got something that is not HTTP`,
      {
        cause: error,
      },
    )
  return new EssError('connection-lost', `The connection to ${url.origin} was lost`, { cause: error })
}

/** The server could not be asked at all. */
export function unreachable(url: URL, words: string, cause?: unknown): EssError {
  return new EssError('server-unreachable', `Cannot reach ${url.origin}: ${words}`, { cause })
}
