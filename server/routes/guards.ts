import type { IncomingMessage } from 'node:http'
import type { Service } from '../broker/service.js'
import { checkVersion } from '../node/http-version.js'
import { type Access, refuseCrossSite, refuseReservation } from '../request/access.js'
import { checkHeaderCount, checkHosts } from '../request/request-head.js'
import { checkUnread } from '../request/sender.js'
import { refuseUnasked } from '../request/visitor.js'
import type { Visit } from './visit.js'

/** The guards of one answer, beside the check of the version, which every answer has. */
export interface Guards {
  /** Asks `authorize` whether the client may send or receive. */
  readonly access?: Access
  /** Refuses clients that are over `maxMissesPerClient`: the answer tells whether an id or a token exists. */
  readonly misses?: true
  /** Refuses prefetches and service workers. */
  readonly visitors?: true
  /** Refuses requests that another site's page makes a browser send: the answer uses something up. */
  readonly crossSite?: Access
  /** Refuses all but the service's own page where `reservations` is off. */
  readonly reservation?: true
  /** Refuses a body that something in front of the service has read. */
  readonly unreadBody?: true
}

/**
 * Throws the EssError to refuse a request with. The order is the same for every address: first the guards that keep
 * strangers and guessing clients from learning anything, then those that look at how the request was made.
 */
export function guard(broker: Service, visit: Visit, guards: Guards): void {
  const { request } = visit
  if (guards.access !== undefined) broker.authorize(guards.access, request)
  if (guards.misses) broker.checkMisses(request)
  if (guards.visitors) refuseUnasked(request)
  if (guards.crossSite !== undefined) refuseCrossSite(request, guards.crossSite, broker.options)
  if (guards.reservation && !broker.options.reservations) refuseReservation(request, broker.options)
  if (guards.unreadBody && visit.isBodyPromised !== undefined) checkUnread(request, visit.isBodyPromised)
  checkVersion(request)
}

/**
 * Throws the EssError for a head that is refused at every address. For `listen`; a host of the embedder's has its own
 * rules.
 */
export function checkHead(request: IncomingMessage): void {
  checkVersion(request)
  checkHeaderCount(request)
  checkHosts(request)
}
