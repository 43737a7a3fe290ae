import { EssError } from '../../shared/index.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import { assetOf } from '../answer/web-assets.js'
import type { Service } from '../broker/service.js'
import { decodeSegment } from './addresses.js'
import type { Visit } from './visit.js'

/** A name that is made of the content may be kept for ever; any other is asked for again each time. */
const KEPT = 'public, max-age=31536000, immutable'
const ASKED_AGAIN = 'no-cache'

/**
 * Answers with a script or a style of the pages. It asks for no token: it holds no secret, and the page asks for the
 * token. Throws EssError `not-found` for a name of another version, and where this installation has no pages.
 */
export function sendWebAsset(_broker: Service, { request, response, address }: Visit): void {
  const found = assetOf(decodeSegment(address.key), request.headers['accept-encoding'])
  if (found === undefined)
    throw new EssError('not-found', 'This server has no such part of its page. Load the page again.')
  const { body, type, encoding, tag, isHashed } = found
  const headers = {
    'Cache-Control': isHashed ? KEPT : ASKED_AGAIN,
    ETag: tag,
    Vary: 'Accept-Encoding',
  }
  removeForeignFields(response)
  if (request.headers['if-none-match']?.split(/, */).includes(tag)) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, {
    ...headers,
    'Content-Type': type,
    'Content-Length': body.length,
    ...(encoding !== undefined && { 'Content-Encoding': encoding }),
    'Cross-Origin-Resource-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
