import { EssError, formatBundleNote, HEADERS, QUERY } from '../../shared/index.js'
import { REOPENING_REFUSED } from '../../shared/reopening.js'
import { type Facts, uploadAddresses } from '../facts.js'
import { ask, JSON_ACCEPT, parsed, refusalIn, SOON_MS } from '../http/ask.js'
import type { KnownUpload } from './known-upload.js'
import { CAN_GO_ON } from './piece.js'
import type { Resource } from './resource.js'
import type { Sendable } from './sendable.js'

/** An upload as it was opened: the new node knows nothing of that. */
export interface Opened {
  readonly facts: Facts
  readonly sendable: Sendable
  /** Of the person, where the server asks for one. */
  readonly token: string | undefined
  /** The type that its request says; undefined where it goes in pieces, which say none. */
  readonly type: string | undefined
}

/**
 * Opens the link again at another node of the cluster, after its own one has let it go or died. `offset` is where the page
 * stands. Resolves with the upload resource there; if the link is still alive somewhere, with that one's. Throws EssError.
 */
export async function reopen(
  { facts, sendable, token, type }: Opened,
  known: KnownUpload,
  offset: number,
  signal: AbortSignal,
): Promise<Resource> {
  const { body, name, sealed, bundle } = sendable
  const url = new URL(known.resource.upload)
  url.searchParams.set(QUERY.ttl, String(Math.max(1, Math.ceil(known.secondsLeft))))
  if (name !== undefined) url.searchParams.set(QUERY.filename, name)
  const headers = {
    ...CAN_GO_ON,
    accept: JSON_ACCEPT,
    [HEADERS.essReopen]: known.id,
    [HEADERS.uploadLength]: String(body.size),
    ...(known.isConnected && { [HEADERS.essConnected]: '?1', [HEADERS.uploadOffset]: String(offset) }),
    ...(type !== undefined && { 'content-type': type }),
    ...(sealed !== undefined && { [HEADERS.essSealed]: sealed }),
    ...(bundle !== undefined && { [HEADERS.essBundle]: formatBundleNote(bundle) }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  const answer = await ask(url, { method: 'POST', headers, deadlineMs: SOON_MS, signal })
  const { upload } = parsed(answer.text) ?? {}
  if (answer.status !== 201 || typeof upload !== 'string') throw refusalIn(answer)
  return uploadAddresses(facts, upload)
}

/** True for the word of a node that there is nothing to open again. */
export function isReopeningRefused(error: unknown): boolean {
  return error instanceof EssError && REOPENING_REFUSED.includes(error.status)
}
