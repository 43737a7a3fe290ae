import { isSocketId } from './id.js'
import { EssError } from './problems.js'

/** Every route: the template the server matches. */
export const ROUTES = {
  /** `POST`, `PUT`: open a socket and send. `GET`: how to use this server. */
  root: '/',
  /** 200 while the server accepts sockets, 503 while it stops. */
  health: '/health',
  /** `POST`, `GET`, where reservations are on: a socket whose sender comes later. */
  reserve: '/reserve',
  /** The sender's own handle on its socket. `PUT`, `POST`: the whole body. `DELETE`: cancel. */
  uploadResource: '/uploads/:token',
  /** `GET`: the status stream by itself. */
  uploadEvents: '/uploads/:token/events',
  /** `PUT`: open a socket and send a file of that name. */
  upload: '/:filename',
  /** `GET`, `HEAD`: receive. */
  download: '/:id',
  /** The same; the name is there for tools that name a file after its URL. */
  namedDownload: '/:id/:filename',
} as const

/** The query parameters of the protocol. */
export const QUERY = {
  /** Opening: seconds to wait for a receiver, at most the server's own. */
  ttl: 'ttl',
  /** Opening: the file's name, where neither the path nor a Content-Disposition can carry it. */
  filename: 'filename',
  /** Receiving: seconds to wait for a socket that is not there yet. */
  wait: 'wait',
} as const

/** The path of a download, under the server's base: `/ID`, or `/ID/name` for a file with a name. */
export function downloadPath(id: string, fileName?: string): string {
  return fileName === undefined ? `/${id}` : `/${id}/${encodeURIComponent(fileName)}`
}

/** The path of an upload resource, under the server's base. */
export function uploadPath(token: string): string {
  return `/uploads/${token}`
}

/** The path of an upload resource's status stream, under the server's base. */
export function uploadEventsPath(token: string): string {
  return `${uploadPath(token)}/events`
}

/** Joins a base URL (with or without a path, with or without a final slash) and a path that begins with one. */
export function joinUrl(base: string, path: string): string {
  return base.replace(/\/+$/, '') + path
}

/** The URL of `path` at a server. Throws EssError `usage` where the server is no http(s) URL. */
export function urlAtServer(server: string | URL, path: string): URL {
  const url = joinUrl(String(server), path)
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return new URL(url)
  throw new EssError(
    'usage',
    `Expected the server as an http(s) URL, got ${JSON.stringify(withoutUserinfo(String(server)).slice(0, 200))}`,
  )
}

/**
 * A URL as it may be shown: without a user name and password. In text that is no http(s) URL, all that stands before
 * the last `@` is taken for them.
 */
export function withoutUserinfo(text: string): string {
  if (!text.includes('@')) return text
  const isUrl = /^https?:\/\//i.test(text) && URL.canParse(text)
  return text.replace(isUrl ? /^([a-z]+:\/\/)[^/?#\\]*@/i : /^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1')
}

/**
 * The URL to download from, for what a person hands to `ess get`: an id of `server`'s, or a whole URL.
 * Throws EssError `usage` for anything else.
 */
export function resolveDownloadUrl(idOrUrl: string, server: string): URL {
  if (isSocketId(idOrUrl)) return urlAtServer(server, downloadPath(idOrUrl))
  if (/^https?:\/\//i.test(idOrUrl) && URL.canParse(idOrUrl)) return new URL(idOrUrl)
  throw new EssError(
    'usage',
    `Expected an id of 12 characters or an http(s) URL, got ${JSON.stringify(withoutUserinfo(idOrUrl).slice(0, 200))}`,
  )
}
