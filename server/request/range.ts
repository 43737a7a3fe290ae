import type { IncomingMessage } from 'node:http'
import { entityTag } from '../../shared/entity-tag.js'
import { EssError } from '../../shared/index.js'

export { entityTag }

/**
 * True for a request for a part of a file. A link gives its bytes once, from the first one on, so the whole would use
 * the link up for a client that wants the rest of a broken download.
 *
 * - `bytes=0-` asks for all of it. From HTTP/1.0, which has no ranges, it's the probe of a download manager (axel),
 *   which hangs up once it has read the head.
 * - With another file's tag in `If-Range` the client wants the whole, and says that it knows what to do with it
 *   (RFC 9110, 13.1.5).
 */
export function asksForPart({ headers, httpVersion }: IncomingMessage, id: string): boolean {
  const { range, 'if-range': tag } = headers
  if (range === undefined || (tag !== undefined && tag !== entityTag(id))) return false
  return httpVersion === '1.0' || !/^\s*bytes\s*=\s*0-\s*$/i.test(range)
}

/**
 * Refuses such a request. Throws EssError `whole-only`, never a 416: to curl and wget that means that they have it all,
 * and they exit with 0 and a short file.
 */
export function refusePart({ headers }: IncomingMessage): never {
  throw new EssError(
    'whole-only',
    `Expected a request for the whole file, got one for ${JSON.stringify(headers.range?.slice(0, 100))}; the link is not used up: ask again without a range, into a new file`,
  )
}
