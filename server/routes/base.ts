import { ROUTES } from '../../shared/index.js'
import type { Service } from '../broker/service.js'
import { publicBaseUrl } from '../request/public-url.js'
import { encodePath, pathSeenByClient } from './mount.js'
import type { Visit } from './visit.js'

/** The base of the links on a page. An operator's own base URL includes the mount already. */
export function baseOf({ options }: Service, { request, basePath }: Visit): string {
  const base = publicBaseUrl(request, options)
  return options.baseUrl === undefined ? base + basePath : base
}

/**
 * Where the service's addresses begin, as a relative URL from the page that answers this request. It holds behind a
 * proxy that takes a part of the path away, too, of which the service knows nothing.
 */
export function rootOf({ request, address }: Visit): string {
  const path = pathSeenByClient(request)
  const last = path.slice(path.lastIndexOf('/') + 1)
  // A mount may be asked for without its final slash.
  if (address.route === 'root') return last === '' ? './' : `./${encodePath(last)}/`
  const depth = ROUTES[address.route].split('/').length - 2
  return depth === 0 ? './' : '../'.repeat(depth)
}
