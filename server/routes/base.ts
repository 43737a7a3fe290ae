import type { Service } from '../broker/service.js'
import { publicBaseUrl } from '../request/public-url.js'
import type { Visit } from './visit.js'

/** The base of the links on a page. An operator's own base URL includes the mount already. */
export function baseOf({ options }: Service, { request, basePath }: Visit): string {
  const base = publicBaseUrl(request, options)
  return options.baseUrl === undefined ? base + basePath : base
}
