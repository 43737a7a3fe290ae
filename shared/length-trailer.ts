/**
 * The trailer field (RFC 9110, 6.5) after a download of unknown length. It gives the number of bytes, and only a
 * whole download has it. `Trailer` announces it, and only to a receiver that sends `TE: trailers`.
 */
export const LENGTH_TRAILER = 'Ess-Length'

/** True for a `TE` that asks for trailer fields (RFC 9110, 10.1.4). */
export function acceptsTrailers(te: string | undefined): boolean {
  return listed(te).includes('trailers')
}

/** True for a `Trailer` that promises the length. */
export function announcesLength(trailer: string | undefined): boolean {
  return listed(trailer).includes(LENGTH_TRAILER.toLowerCase())
}

/** The members of a list (RFC 9110, 5.6.1), in lower case. */
function listed(value = ''): string[] {
  return value.split(',').map((member) => member.trim().toLowerCase())
}
