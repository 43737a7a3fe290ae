import {
  downloadPath,
  joinUrl,
  type OpenedEvent,
  STATUS_VERSION,
  uploadEventsPath,
  uploadPath,
} from '../../shared/index.js'
import { publicBaseUrl } from '../request/public-url.js'
import type { Call } from './exchange.js'
import type { ResolvedOptions } from './options.js'
import type { SocketTerms } from './subject.js'
import type { UploadTokens } from './upload-tokens.js'

/** The answer to a reservation. */
export interface Reservation {
  readonly id: string
  /** The download URL, for the receiver. */
  readonly url: string
  /** The URL of the upload resource, for the sender alone. */
  readonly upload: string
  /** The URL of the upload resource's status stream. */
  readonly events: string
  /** When the reservation ends unless a receiver has come (RFC 3339). */
  readonly expires: string
  /** The seconds that were asked for; absent unless they were cut to the server's limit. */
  readonly ttlAsked?: number
}

/** A socket, as far as its links and their announcement need it. */
interface Linked {
  readonly terms: SocketTerms
  readonly tokens: UploadTokens
  readonly expiresAt: number
  readonly isResumable: boolean
}

/** The URL that the links in this call's answer begin with. */
export function baseOf({ request, basePath }: Call, options: ResolvedOptions): string {
  const base = publicBaseUrl(request, options)
  // The operator's own base URL includes the path.
  return options.baseUrl === undefined ? base + basePath : base
}

/** The first event of a status stream. */
export function openedEvent(
  socket: Linked,
  base: string,
  fileName: string | undefined,
  { isResumable }: Pick<Linked, 'isResumable'> = socket,
): OpenedEvent {
  const { id, ttlMs, maxUploadBytes } = socket.terms
  const token = socket.tokens.current
  return {
    event: 'opened',
    v: STATUS_VERSION,
    id,
    url: joinUrl(base, downloadPath(id, fileName)),
    ...(token !== undefined && { upload: joinUrl(base, uploadPath(token)) }),
    ttl: ttlMs / 1000,
    ...(isResumable && { resumeWithin: socket.terms.returnMs / 1000 }),
    ...askedTtl(socket),
    expires: new Date(socket.expiresAt).toISOString(),
    maxUploadBytes,
  }
}

/** What a new reservation is answered with. */
export function reservationOf(socket: Linked, base: string, fileName: string | undefined): Reservation {
  const { id } = socket.terms
  const { current: token = '' } = socket.tokens
  return {
    id,
    url: joinUrl(base, downloadPath(id, fileName)),
    upload: joinUrl(base, uploadPath(token)),
    events: joinUrl(base, uploadEventsPath(token)),
    expires: new Date(socket.expiresAt).toISOString(),
    ...askedTtl(socket),
  }
}

function askedTtl({ terms: { askedTtlMs } }: Linked): { readonly ttlAsked?: number } {
  return askedTtlMs === undefined ? {} : { ttlAsked: askedTtlMs / 1000 }
}
