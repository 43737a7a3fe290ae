import { EssError } from '../../shared/index.js'
import { codeOf, errnoWords } from '../node/errno-words.js'
import type { HttpProxy } from './proxy.js'

/** The cause of a failed connection, in words that follow a colon. */
export function wordsFor(error: unknown): string {
  const code = codeOf(error)
  if (code.startsWith('HPE_')) return 'it does not speak HTTP as expected'
  // OpenSSL's own message has a source file and a line end in it; the code holds the reason too.
  if (code.startsWith('ERR_SSL_'))
    return `it does not speak TLS as expected (${code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ')})`
  return errnoWords('connect', error) ?? (error instanceof Error ? error.message : String(error))
}

/** The EssError for a failed exchange. `isConnected` says whether the server was reached. */
export function translate(error: unknown, url: URL, isConnected: boolean): EssError {
  if (error instanceof EssError) return error
  if (!isConnected) return unreachable(url, wordsFor(error), error)
  if (codeOf(error).startsWith('HPE_'))
    return new EssError(
      'not-ess',
      `Expected an ESS server at ${url.origin}, got something that is not HTTP`,
      {
        cause: error,
      },
    )
  return new EssError('connection-lost', `The connection to ${url.origin} was lost`, { cause: error })
}

/** The error for a server that could not be reached. */
export function unreachable(url: URL, words: string, cause?: unknown): EssError {
  return new EssError('server-unreachable', `Cannot reach ${url.origin}: ${words}`, { cause })
}

/** The error for a proxy that failed before the server was reached. */
export function proxyFailed(proxy: HttpProxy, url: URL, words: string, cause?: unknown): EssError {
  const next = `correct ${proxy.variable}, or go past it with NO_PROXY=${url.hostname}`
  return new EssError('proxy-failed', `Cannot use the proxy ${proxy.shown}: ${words}; ${next}`, { cause })
}
