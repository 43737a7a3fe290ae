import type { IncomingMessage } from 'node:http'
import { entityTag } from '../../shared/entity-tag.js'
import { EssError } from '../../shared/index.js'

export { entityTag }

/**
 * True for a request for a part of a file. A link gives its bytes once, from the first one on: to a client that wants
 * the rest of a broken download, the whole file would be of no use, and would use the link up.
 *
 * - `bytes=0-` asks for the whole file. Over HTTP/1.0, which has no ranges, it comes from a download manager (axel)
 *   that only probes: it hangs up once it has read the head.
 * - With another file's tag in `If-Range`, the client asks for the whole file, and can handle it (RFC 9110, 13.1.5).
 */
export function asksForPart({ headers, httpVersion }: IncomingMessage, id: string): boolean {
  const { range, 'if-range': tag } = headers
  if (range === undefined || (tag !== undefined && tag !== entityTag(id))) return false
  return httpVersion === '1.0' || !/^\s*bytes\s*=\s*0-\s*$/i.test(range)
}

/**
 * Refuses a request for a part. Throws EssError `whole-only`, which is never a 416: curl and wget take that for "you
 * have it all", and exit with 0 and a short file.
 */
export function refusePart({ headers }: IncomingMessage): never {
  throw new EssError(
    'whole-only',
    `You asked for a part of the file (${JSON.stringify(headers.range?.slice(0, 100))}), and a link gives the whole file, once. The link is not used up: ask again without a range (curl without -C, wget without -c), into a new file.`,
  )
}
