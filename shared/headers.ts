/** The header names of the protocol that HTTP libraries do not spell for us, in lower case. */
export const HEADERS = {
  contentDisposition: 'content-disposition',
  contentLength: 'content-length',
  prefer: 'prefer',
  te: 'te',
} as const

/** What holds for every answer of a data route: nothing is stored on the way, sniffed, or buffered by a proxy. */
export const PASS_THROUGH_HEADERS = {
  'Cache-Control': 'no-store, no-transform',
  // nginx would spool the response, and the sender would read "delivered" far too early.
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
} as const

/** A download is a stranger's bytes on our origin: it is saved, never run, and never indexed. */
export const DOWNLOAD_HEADERS = {
  ...PASS_THROUGH_HEADERS,
  'Content-Security-Policy': "sandbox; default-src 'none'",
  // A page of another origin may have it by CORS, and make nothing of it without.
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Robots-Tag': 'none',
} as const

/** Any page may send and receive: whoever has the link has the file, and there are no cookies to ride on. */
export const CORS_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Location, ETag, Content-Disposition, Content-Length, Retry-After',
} as const

/** The answer to a preflight, Private Network Access included. */
export const PREFLIGHT_HEADERS = {
  ...CORS_HEADERS,
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, DELETE, OPTIONS',
  'Access-Control-Allow-Headers': 'Accept, Content-Type, Content-Disposition, Prefer, Range, If-Range',
  'Access-Control-Allow-Private-Network': 'true',
  'Access-Control-Max-Age': '86400',
} as const
