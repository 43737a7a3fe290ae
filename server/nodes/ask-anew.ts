import { request as ask, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { isOfTheConnection } from './takeover.js'

/** Asks the node at the other end of `link` the same by HTTP/1.1. The caller sends the body, and ends the request. */
export function askAnew(request: IncomingMessage, link: Socket): ClientRequest {
  const { rawHeaders, headers, method, url } = request
  const fields: string[] = []
  // HTTP/2 names the host in another place, and may leave out the length of a body.
  if (request.httpVersionMajor > 1) fields.push('Host', headers.host ?? '')
  if (hasBody(request) && headers['content-length'] === undefined) fields.push('Transfer-Encoding', 'chunked')
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    if (isPassedOn(name.toLowerCase(), request)) fields.push(name, value)
  }
  fields.push('Connection', 'close')
  return ask({
    method,
    // Node sends no other characters; HTTP/2 may bring them.
    path: url?.replaceAll(UNSENDABLE, encodeURIComponent),
    headers: fields,
    setHost: false,
    createConnection: () => link,
  })
}

const UNSENDABLE = /[^\u0021-\u00ff]/g

/** Fields of HTTP/2 alone begin with a colon; what frames a body is said anew. */
function isPassedOn(name: string, request: IncomingMessage): boolean {
  if (name.startsWith(':') || name === 'transfer-encoding' || isOfTheConnection(name)) return false
  if (name === 'host') return request.httpVersionMajor === 1
  return name !== 'content-length' || hasBody(request)
}

/** False for a body that was read and thrown away, as that of a download's request is. */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request
  const isAnnounced = headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
  return isAnnounced && !request.readableDidRead && !request.readableEnded
}

/** The fields of an answer, but for those about the link. */
export function fieldsOf({ rawHeaders }: IncomingMessage): OutgoingHttpHeaders {
  const fields: Record<string, string | string[]> = {}
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    const key = name.toLowerCase()
    if (isOfTheConnection(key) || key === 'transfer-encoding') continue
    const before = fields[name]
    fields[name] = before === undefined ? value : [before, value].flat()
  }
  return fields
}
