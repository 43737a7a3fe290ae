import { isSocketId } from './id.js'
import { percentEncode } from './percent-encode.js'
import { EssError } from './problems.js'
import { VERSION } from './version.js'

/** Every address of the server, as a template: `:name` stands for one segment. The server and all paths go by these. */
export const ROUTES = {
  /** `POST`, `PUT`: open a socket and send. `GET`, `HEAD`: how to use this server. */
  root: '/',
  /** `GET`, `HEAD`: 200 while the server accepts sockets, 503 while it stops. */
  health: '/health',
  /** `POST`, `GET`: a socket whose sender comes later. Only where reservations are on, like the next two. */
  reserve: '/reserve',
  /** `GET`, `HEAD`: the client as a package for npm. Only where the server serves it, like the next one. */
  clientPackage: '/ess.tgz',
  /** The same, for npx: it asks a URL once, and from then on runs what it got. So each version has a URL of its own. */
  clientPackageOfVersion: `/ess-${VERSION}.tgz`,
  /** `GET`, `HEAD`: a script or a style of the pages. Only where there are pages. */
  webAsset: '/web/:asset',
  /** `POST`: a page that received was closed. The same as `DELETE` of the link, by all that a closed page can send. */
  closedDownload: '/web/closed-download/:id',
  /** `POST`: a page that sent was closed. The same as `DELETE` of the upload resource. */
  closedUpload: '/web/closed-upload/:token',
  /** The sender's own address for its socket. `PUT`, `POST`: the whole body. `DELETE`: cancel. */
  uploadResource: '/uploads/:token',
  /** `GET`: the status stream alone. */
  uploadEvents: '/uploads/:token/events',
  /** `PUT`: open a socket and send a file with this name. */
  upload: '/:filename',
  /** `GET`, `POST`: receive. `HEAD`: the head of that. */
  download: '/:id',
  /** The same. The name is for tools that name a file after its URL; the server ignores it. */
  namedDownload: '/:id/:filename',
} as const

/** The query parameters of the protocol. */
export const QUERY = {
  /** Opening: seconds to wait for a receiver. The server's own limit caps it. */
  ttl: 'ttl',
  /** Opening: the file's name, for a sender that can put it neither into the path nor into a Content-Disposition. */
  filename: 'filename',
  /** Receiving: seconds to wait for a socket that doesn't exist yet. */
  wait: 'wait',
} as const

/**
 * The path of a download, under the server's base: `/ID`, or `/ID/name` for a file with a name. It has no character
 * that means something to a shell, so a link can be pasted after a command without quotes.
 */
export function downloadPath(id: string, fileName?: string): string {
  const path = ROUTES.download.replace(':id', () => id)
  return fileName === undefined ? path : `${path}/${percentEncode(fileName)}`
}

/** The path of an upload resource, under the server's base. */
export function uploadPath(token: string): string {
  return ROUTES.uploadResource.replace(':token', () => token)
}

/** The path of an upload resource's status stream, under the server's base. */
export function uploadEventsPath(token: string): string {
  return ROUTES.uploadEvents.replace(':token', () => token)
}

/** Where a page says that it was closed while it received. */
export function closedDownloadPath(id: string): string {
  return ROUTES.closedDownload.replace(':id', () => id)
}

/** The same while it sent. */
export function closedUploadPath(token: string): string {
  return ROUTES.closedUpload.replace(':token', () => token)
}

/** Joins a base URL and a path that begins with a slash. The base may have a path, and may end with slashes. */
export function joinUrl(base: string, path: string): string {
  return base.replace(/\/+$/, '') + path
}

/** The URL of `path` on a server. Throws EssError `usage` if the server is no http(s) URL. */
export function urlAtServer(server: string | URL, path: string): URL {
  const url = joinUrl(String(server), path)
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return new URL(url)
  throw new EssError(
    'usage',
    `${shown(String(server))} is no address of a server. Write one such as https://send.example.org.`,
  )
}

/**
 * A URL that is safe to show: without user name and password. In text that is no http(s) URL, everything before the
 * last `@` counts as those.
 */
export function withoutUserinfo(text: string): string {
  if (!text.includes('@')) return text
  const isUrl = /^https?:\/\//i.test(text) && URL.canParse(text)
  return text.replace(isUrl ? /^([a-z]+:\/\/)[^/?#\\]*@/i : /^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1')
}

/** Text from outside, for a message. A fragment may be a key. */
function shown(text: string): string {
  const [address = ''] = text.split('#')
  return JSON.stringify(withoutUserinfo(address).slice(0, 200))
}

/**
 * The URL to download from, for the argument of `ess get`: an id on `server`, or a whole URL. Throws EssError `usage`
 * for anything else.
 */
export function resolveDownloadUrl(idOrUrl: string, server: string): URL {
  if (isSocketId(idOrUrl)) return urlAtServer(server, downloadPath(idOrUrl))
  if (/^https?:\/\//i.test(idOrUrl) && URL.canParse(idOrUrl)) return new URL(idOrUrl)
  throw new EssError(
    'usage',
    `${shown(idOrUrl)} is neither an id of 12 characters nor an http(s) URL. Take the link that the sender got.`,
  )
}
