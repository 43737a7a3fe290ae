import { PARTIAL_UPLOAD } from '../../shared/index.js'

/** Tells clients of draft-ietf-httpbis-resumable-upload how large a file may be (section 4.1.4). 0 is no limit. */
export function uploadLimit({ maxUploadBytes }: { readonly maxUploadBytes: number }): {
  readonly 'Upload-Limit': string
} {
  // The draft's earlier versions don't allow an empty field.
  return { 'Upload-Limit': maxUploadBytes === 0 ? 'min-size=0' : `max-size=${maxUploadBytes}` }
}

/** What an `OPTIONS` says of an address where such a client can reserve or send (section 4.1.4). */
export function draftOptions(options: { readonly maxUploadBytes: number }): Readonly<Record<string, string>> {
  return { 'Accept-Patch': PARTIAL_UPLOAD, ...uploadLimit(options) }
}
