import { SIGNED_TOKEN_LENGTH } from './id.js'

/** What its sender knows of an upload whose node may be gone. */
export interface LostUpload {
  /** Where it sent to last. */
  readonly resource: { readonly upload: { readonly pathname: string } }
  /** True if its receiver has come. */
  readonly isConnected: boolean
  /** Seconds until its link expires. */
  readonly secondsLeft: number
  /** Milliseconds since its sender heard of it last. */
  readonly silentMs: number
}

/**
 * For so long the nodes of a cluster remember that a transfer has ended. A sender that was away for longer could open a
 * link again that has delivered its file.
 */
const REMEMBERED_MS = 600_000

/**
 * True if another node may open this upload again: only a cluster gives tokens that its other nodes can check. Other
 * servers, older ones too, would take the request for an upload without a byte.
 */
export function mayReopen({ resource, isConnected, secondsLeft, silentMs }: LostUpload): boolean {
  const token = resource.upload.pathname.split('/').at(-1)
  if (token?.length !== SIGNED_TOKEN_LENGTH) return false
  return silentMs < REMEMBERED_MS && (isConnected || secondsLeft > 0)
}

/** The statuses by which a node says that there is nothing to open again: it has ended, or no node can do that. */
export const REOPENING_REFUSED: readonly number[] = [404, 405, 409, 410]
