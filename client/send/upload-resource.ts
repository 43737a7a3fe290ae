import { joinUrl, SIGNED_TOKEN_LENGTH, uploadEventsPath, uploadPath } from '../../shared/index.js'

/** The sender's own handle on its socket. */
export interface UploadResource {
  /** Takes the whole body. */
  readonly upload: URL
  /** Gives the status stream. */
  readonly events: URL
}

/** The upload resource in an `opened` event; undefined if the server has reservations off. */
export function resourceOf(upload: string | undefined, server: URL): UploadResource | undefined {
  if (!isUrl(upload, server)) return undefined
  const url = new URL(upload, server)
  const token = url.pathname.split('/').at(-1) ?? ''
  const base = url.href.slice(0, url.href.lastIndexOf(uploadPath(token)))
  return { upload: url, events: new URL(joinUrl(base, uploadEventsPath(token))) }
}

/** True for the upload resource of a server of several nodes: any of them can tell that the token is one of theirs. */
export function isOfCluster({ upload }: UploadResource): boolean {
  return upload.pathname.split('/').at(-1)?.length === SIGNED_TOKEN_LENGTH
}

export function isUrl(value: unknown, base: URL): value is string {
  return (
    typeof value === 'string' &&
    URL.canParse(value, base.href) &&
    /^https?:$/.test(new URL(value, base).protocol)
  )
}
