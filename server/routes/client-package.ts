import { EssError } from '../../shared/index.js'
import { clientPackage } from '../answer/client-package.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import type { Service } from '../broker/service.js'
import { baseOf } from './base.js'
import type { Visit } from './visit.js'

/**
 * Answers with the package of the client. It asks for no token: it holds no secret, and those who need a token need the
 * client first. Throws EssError `not-found` where this installation has no package.
 */
export function sendClientPackage(broker: Service, visit: Visit): void {
  const { request, response } = visit
  const found = clientPackage(baseOf(broker, visit))
  if (found === undefined)
    throw new EssError(
      'not-found',
      'This server was installed without the package of the client. Ask its operator for ess, or use curl.',
    )
  const { ETag, ...others } = found.headers
  const headers = { ...broker.options.cors.headers(request), ETag: String(ETag) }
  removeForeignFields(response)
  if (request.headers['if-none-match']?.split(/, */).includes(headers.ETag)) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, { ...headers, ...others })
  if (request.method !== 'HEAD') for (const part of found.parts) response.write(part)
  response.end()
}
