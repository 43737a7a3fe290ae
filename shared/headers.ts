/** The protocol's header names that HTTP libraries don't spell for us, in lower case. */
export const HEADERS = {
  contentDisposition: 'content-disposition',
  contentLength: 'content-length',
  essBundle: 'ess-bundle',
  essConfirm: 'ess-confirm',
  essConnected: 'ess-connected',
  essOffset: 'ess-offset',
  essReceived: 'ess-received',
  essReopen: 'ess-reopen',
  essResume: 'ess-resume',
  essSealed: 'ess-sealed',
  prefer: 'prefer',
  te: 'te',
  uploadComplete: 'upload-complete',
  uploadDraftInteropVersion: 'upload-draft-interop-version',
  uploadLength: 'upload-length',
  uploadOffset: 'upload-offset',
} as const

/** The media type of a piece of a file (draft-ietf-httpbis-resumable-upload, section 6). */
export const PARTIAL_UPLOAD = 'application/partial-upload'

/** The headers of every response on a data route: nothing on the way may store it, sniff its type or buffer it. */
export const PASS_THROUGH_HEADERS = {
  'Cache-Control': 'no-store, no-transform',
  // nginx would spool the response, and the sender would read "delivered" far too early.
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
} as const

/**
 * The headers of a download. It is a stranger's bytes on our origin: browsers save it, never run it, never index it.
 */
export const DOWNLOAD_HEADERS = {
  ...PASS_THROUGH_HEADERS,
  'Content-Security-Policy': "sandbox; default-src 'none'",
  // A page of another origin can read it by CORS, and can do nothing with it without CORS.
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Robots-Tag': 'none',
} as const

/** Any page may send and receive: the link is the only secret, and there are no cookies to abuse. */
export const CORS_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers':
    'Location, ETag, Content-Disposition, Content-Length, Content-Range, Accept-Ranges, Retry-After, Ess-Offset, Ess-Sealed, Ess-Bundle, Upload-Offset, Upload-Complete, Upload-Length, Upload-Limit',
} as const

/** The response to a preflight, Private Network Access included. */
export const PREFLIGHT_HEADERS = {
  ...CORS_HEADERS,
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
  'Access-Control-Allow-Headers':
    'Accept, Content-Type, Content-Disposition, Prefer, Range, If-Range, If-Match, Ess-Confirm, Ess-Connected, Ess-Offset, Ess-Received, Ess-Reopen, Ess-Resume, Ess-Sealed, Ess-Bundle, Upload-Offset, Upload-Complete, Upload-Length, Upload-Draft-Interop-Version, Upload-Metadata, Upload-Defer-Length',
  'Access-Control-Allow-Private-Network': 'true',
  'Access-Control-Max-Age': '86400',
} as const
