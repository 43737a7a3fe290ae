import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { EssError } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { basicCredentials } from './credentials.js'
import { finalAnswer, isInterim, type TunnelAnswer } from './interim.js'
import { type HttpProxy, portOf } from './proxy.js'
import { proxyFailed, unreachable } from './wire-errors.js'

/** The statuses a proxy answers with when it can't reach the server. */
const SERVER_AWAY: readonly number[] = [502, 503, 504]

/**
 * Asks the proxy at the other end of `carrier` for a tunnel to the server of `url` (CONNECT; RFC 9110, 9.3.6). Both
 * http and https get a tunnel, so that no proxy can meddle with the early response. Rejects with an EssError if the
 * proxy refuses.
 */
export async function openTunnel(
  carrier: Socket,
  proxy: HttpProxy,
  url: URL,
  signal: AbortSignal,
): Promise<Socket> {
  const authority = `${url.hostname}:${portOf(url)}`
  const credentials = basicCredentials(proxy.url)
  const asking = request({
    method: 'CONNECT',
    path: authority,
    headers: {
      host: authority,
      'user-agent': `ess/${VERSION}`,
      ...(credentials !== undefined && { 'proxy-authorization': credentials }),
    },
    createConnection: () => carrier,
  })
  // Node would add `Connection: close`, and some proxies then close the connection.
  asking.removeHeader('connection')
  // `once` hears the first error, and no other one matters.
  asking.on('error', () => {})
  asking.end()
  // These are the listener's arguments, as Node documents them.
  const [first, socket, behind] = (await once(asking, 'connect', { signal })) as [
    IncomingMessage,
    Socket,
    Buffer,
  ]
  const answer = isInterim(first.statusCode ?? 0)
    ? await finalAnswer(socket, behind, signal)
    : answerOf(first, behind)
  if (answer.status < 200 || answer.status > 299) throw refusal(answer, proxy, url)
  if (answer.early.length > 0) socket.unshift(answer.early)
  return socket
}

function answerOf({ statusCode = 0, headers }: IncomingMessage, early: Buffer): TunnelAnswer {
  const authenticate = [headers['proxy-authenticate'] ?? []].flat().join(', ')
  return { status: statusCode, authenticate, early }
}

function refusal({ status, authenticate }: TunnelAnswer, proxy: HttpProxy, url: URL): EssError {
  if (SERVER_AWAY.includes(status))
    return unreachable(url, `the proxy ${proxy.shown} cannot reach it either (HTTP ${status})`)
  if (status === 407) return new EssError('proxy-failed', passwordWanted(proxy, authenticate))
  return proxyFailed(proxy, url, `it refused a tunnel to ${url.host} with HTTP ${status}`)
}

function passwordWanted({ url, shown, variable }: HttpProxy, authenticate: string): string {
  const schemes = authenticate.match(/[a-z]+(?=\s|,|$)/gi) ?? []
  if (schemes.length > 0 && !schemes.some((scheme) => /^basic$/i.test(scheme)))
    return `The proxy ${shown} wants ${schemes[0]} authentication (HTTP 407), and ess knows only Basic. Put a proxy that speaks both in between.`
  if (basicCredentials(url) === undefined)
    return `The proxy ${shown} wants a user name and password (HTTP 407). Put them into ${variable}: ${url.protocol}//USER:PASSWORD@${url.host}`
  return `The proxy ${shown} refuses the user name and password in ${variable} (HTTP 407). Correct them there.`
}
