import type { IncomingMessage } from 'node:http'
import type { Service } from '../broker/service.js'
import { checkVersion } from '../node/http-version.js'
import { type Access, refuseCrossSite } from '../request/access.js'
import { checkHeaderCount, checkHosts } from '../request/request-head.js'
import { checkUnread } from '../request/sender.js'
import { refuseUnasked } from '../request/visitor.js'
import type { Visit } from './visit.js'

/** What a request has to pass before its answer begins, beside the version, which every request has to pass. */
export interface Guards {
  /** Asks `authorize` whether the client may send or receive. */
  readonly access?: Access
  /** Counts for `maxMissesPerClient`: the answer tells whether an id or a token exists. */
  readonly misses?: true
  /** Refuses prefetches and service workers: the answer takes something, or is for a person to see. */
  readonly visitors?: true
  /** Refuses what a page of another site makes a browser send: the answer uses something up. */
  readonly crossSite?: Access
  /** Refuses a body that something in front of the service has read. */
  readonly unreadBody?: true
}

/**
 * Throws the EssError to refuse a request with. The order is the same for every address: strangers learn nothing and
 * cost nothing, clients that guess learn nothing, and only then do the details of the request count.
 */
export function guard(broker: Service, visit: Visit, guards: Guards): void {
  const { request } = visit
  if (guards.access !== undefined) broker.authorize(guards.access, request)
  if (guards.misses) broker.checkMisses(request)
  if (guards.visitors) refuseUnasked(request)
  if (guards.crossSite !== undefined) refuseCrossSite(request, guards.crossSite, broker.options)
  if (guards.unreadBody && visit.isBodyPromised !== undefined) checkUnread(request, visit.isBodyPromised)
  checkVersion(request)
}

/** Throws the EssError to refuse a head with whatever it asks for. For a server of our own, which knows no host. */
export function checkHead(request: IncomingMessage): void {
  checkVersion(request)
  checkHeaderCount(request)
  checkHosts(request)
}
