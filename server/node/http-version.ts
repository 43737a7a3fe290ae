import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { Attachment } from './attachment.js'

const truthful = new Attachment<object, true>('ends truthfully')

/** Says of a connection that isn't HTTP/1.1 that it tells a cut body from a whole one, and ends one either way. */
export function setTruthful(connection: object): void {
  truthful.set(connection, true)
}

/**
 * Throws EssError `http-version-not-supported` for a version that can't tell a failed transfer from a whole one:
 *
 * - HTTP/0.9, which is also what Node's parser makes of a request line without a version.
 * - HTTP/2 of a server that isn't ours. Node's own request can't tell that its body was cut, and Node's own response
 *   can't end as if it were.
 *
 * HTTP/1.0 is refused where it matters.
 */
export function checkVersion({ httpVersion, httpVersionMajor, socket }: IncomingMessage): void {
  if (httpVersionMajor === 1 || truthful.get(socket) === true) return
  const got = httpVersionMajor === 0 ? `HTTP/${httpVersion} or no version` : `HTTP/${httpVersionMajor}`
  throw new EssError(
    'http-version-not-supported',
    `This server needs HTTP/1.1, and the request has ${got}. Update the client, or the proxy on the way.`,
  )
}
