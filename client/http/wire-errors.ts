import { EssError } from '../../shared/index.js'
import { codeOf, errnoWords } from '../node/errno-words.js'
import { AwayError } from './away.js'
import { type HttpProxy, portOf } from './proxy.js'

const TRUST_IT =
  'If the server is yours, put the certificate of its authority into a file, and name that file in NODE_EXTRA_CA_CERTS. Otherwise ask its operator.'
const CHECK_ADDRESS = 'Check the address.'
const CHECK_NETWORK = 'Check your network, then try again.'

/** What to do about a failed connection, by the code of Node and the system. */
const ADVICE: Readonly<Record<string, string>> = {
  ECONNRESET: 'Check the port; if it is right, try again.',
  EHOSTUNREACH: CHECK_NETWORK,
  ENETUNREACH: CHECK_NETWORK,
  ENOTFOUND: CHECK_ADDRESS,
  EAI_AGAIN: CHECK_NETWORK,
  ETIMEDOUT: 'Check the address and the port. A firewall on the way may drop the connection.',
  CERT_HAS_EXPIRED: 'Ask its operator to renew it. If the clock of this machine is wrong, set it.',
  CERT_NOT_YET_VALID: 'Check the clock of this machine, or ask its operator.',
  DEPTH_ZERO_SELF_SIGNED_CERT: TRUST_IT,
  SELF_SIGNED_CERT_IN_CHAIN: TRUST_IT,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: TRUST_IT,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: TRUST_IT,
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use a name that the certificate has, or ask its operator.',
}

/** The cause of a failed connection, in words that follow a colon. */
export function wordsFor(error: unknown): string {
  const code = codeOf(error)
  if (code.startsWith('HPE_')) return 'it does not speak HTTP'
  // OpenSSL's own message has a source file and a line end in it; the code holds the reason too.
  if (code.startsWith('ERR_SSL_'))
    return `it does not speak TLS (${code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ')})`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `its certificate is for ${namesIn(error)}`
  return errnoWords('connect', error) ?? (error instanceof Error ? error.message : String(error))
}

/** The names that a certificate is for. Node adds the certificate to the error. */
function namesIn(error: unknown): string {
  const { cert } = error as { readonly cert?: { readonly subjectaltname?: unknown } }
  const list = cert?.subjectaltname
  if (typeof list !== 'string' || list === '') return 'another host'
  return list.replace(/(?:DNS|IP Address):/g, '')
}

/** How far an exchange came before it failed. */
export type Stage =
  | 'connecting'
  /** Connected, and not a byte of an answer has come. */
  | 'unheard'
  /** Connected, and the head of an answer is not whole, as far as is known. */
  | 'unanswered'
  | 'answered'

/** The EssError for a failed exchange. */
export function translate(error: unknown, url: URL, stage: Stage): EssError {
  if (error instanceof EssError) return error
  if (stage === 'connecting') return unreachable(url, wordsFor(error), error)
  if (codeOf(error).startsWith('HPE_')) return otherThanEss(url, 'it does not speak HTTP', error)
  const words = lostSentences(url, stage)
  return stage === 'unheard'
    ? new AwayError('connection-lost', words, { cause: error })
    : new EssError('connection-lost', words, { cause: error })
}

function lostSentences({ origin, protocol, host }: URL, stage: Stage): string {
  if (stage === 'answered')
    return `The connection to ${origin} was lost before the transfer was over. ${CHECK_NETWORK}`
  // A server with TLS ends a connection that begins with plain HTTP.
  const next = protocol === 'http:' ? `If the server uses TLS, try https://${host}.` : CHECK_NETWORK
  return `${origin} ended the connection without an answer. ${next}`
}

/** The error for a server that could not be reached. `words` follow a colon. */
export function unreachable(url: URL, words: string, cause?: unknown): EssError {
  const sentences = sentencesFor(url, words, cause)
  // The connection was taken, and ended before TLS was spoken on it: so does a balancer that has no server.
  return codeOf(cause) === 'ECONNRESET'
    ? new AwayError('server-unreachable', sentences, { cause })
    : new EssError('server-unreachable', sentences, { cause })
}

function sentencesFor(url: URL, words: string, cause: unknown): string {
  // Through a proxy, the words are about the way to it.
  if (codeOf(cause) === 'ECONNREFUSED' && words === wordsFor(cause))
    return `No ESS server at ${url.hostname}:${portOf(url)}. ${isThisMachine(url) ? START_ONE : ASK_FOR_ONE}`
  return `Cannot reach ${url.origin}: ${words}. ${adviceFor(url, cause)}`
}

const START_ONE = 'Start one with ess-server, or name yours with --server or ESS_SERVER.'
const ASK_FOR_ONE = 'Check the address and the port, or ask its operator whether it runs.'

function isThisMachine({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}

function adviceFor(url: URL, cause: unknown): string {
  const code = codeOf(cause)
  if (url.protocol === 'https:' && (code.startsWith('ERR_SSL_') || code === 'EPROTO'))
    return `It may speak plain HTTP: try http://${url.host}.`
  return ADVICE[code] ?? ASK_FOR_ONE
}

/** The error for an answer that no ESS server gives. `words` follow a colon. */
export function otherThanEss(url: URL, words: string, cause?: unknown): EssError {
  return new EssError('not-ess', `${url.origin} is not an ESS server: ${words}. ${CHECK_ADDRESS}`, { cause })
}

/** The error for a proxy that failed before the server was reached. */
export function proxyFailed(proxy: HttpProxy, url: URL, words: string, cause?: unknown): EssError {
  const next = `Correct ${proxy.variable}, or bypass the proxy with NO_PROXY=${url.hostname}.`
  return new EssError('proxy-failed', `Cannot use the proxy ${proxy.shown}: ${words}. ${next}`, { cause })
}
