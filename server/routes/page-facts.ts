import type { LinkFacts, PageFacts } from '../../shared/page-facts.js'
import { VERSION } from '../../shared/version.js'
import { hasClientPackage } from '../answer/client-package.js'
import type { Service } from '../broker/service.js'
import type { EphemeralSocket } from '../broker/socket.js'
import { tokensAskedBy } from '../request/access.js'
import { rootOf } from './base.js'
import type { Visit } from './visit.js'

/** What the script of a page is told of the server. */
export function pageFacts(broker: Service, visit: Visit): PageFacts {
  const { baseUrl, maxUploadBytes, ttlMs, resumeWithinMs, authorize } = broker.options
  const asked = authorize === undefined ? [] : tokensAskedBy(authorize)
  return {
    version: VERSION,
    root: rootOf(visit),
    ...(baseUrl !== undefined && { base: baseUrl }),
    maxUploadBytes,
    ttl: ttlMs / 1000,
    resumeWithin: resumeWithinMs / 1000,
    needsTokenToSend: asked.includes('send'),
    needsTokenToReceive: asked.includes('receive'),
    servesClient: servesClient(broker),
  }
}

/** What the script of a link's page is told of the link. */
export function linkFacts(socket: EphemeralSocket): LinkFacts {
  const { id, fileName, contentLength, contentType, sealed, bundle, phase, isNoted, lowestReturn } = socket
  return {
    id,
    ...(contentLength !== undefined && { size: contentLength }),
    ...(fileName !== undefined && { name: fileName }),
    contentType,
    ...(sealed !== undefined && { sealed }),
    ...(bundle !== undefined && { bundle }),
    isNoted,
    isReady: phase !== 'reserved',
    isResumable: lowestReturn !== undefined,
  }
}

/** True if this server hands out the client. */
export function servesClient({ options }: Service): boolean {
  return options.serveClient && hasClientPackage()
}
