import {
  EssError,
  formatAgainstLimit,
  formatBundleNote,
  HEADERS,
  isSocketId,
  QUERY,
  ROUTES,
} from '../../shared/index.js'
import { SENDING } from '../../shared/page-words-sending.js'
import { addressOf, type Facts, uploadAddresses } from '../facts.js'
import { ask, JSON_ACCEPT, parsed, refusalIn, SOON_MS } from '../http/ask.js'
import { untilBack } from '../http/until-back.js'
import type { Resource } from './resource.js'
import type { Sendable } from './sendable.js'

/** A link that waits for its sender. */
export interface Reservation {
  readonly id: string
  readonly resource: Resource
  /** When the link stops waiting, by this machine's clock: milliseconds since 1970. */
  readonly expiresAt: number
}

/** Reserves a link. Throws EssError: `too-large` before anything is asked, or the server's refusal. */
export async function reserve(
  facts: Facts,
  { body, name, bundle, sealed }: Sendable,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Reservation> {
  checkSize(body.size, facts.maxUploadBytes)
  const url = addressOf(facts, ROUTES.reserve)
  if (name !== undefined) url.searchParams.set(QUERY.filename, name)
  const headers = {
    accept: JSON_ACCEPT,
    // Its node may stop before the upload begins.
    [HEADERS.essReopen]: '?1',
    // A receiver may look at the link before the upload begins.
    ...(sealed !== undefined && { [HEADERS.essSealed]: sealed }),
    ...(bundle !== undefined && { [HEADERS.essBundle]: formatBundleNote(bundle) }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  const answer = await untilBack(signal, async () => {
    const asked = await ask(url, { method: 'POST', headers, deadlineMs: SOON_MS, signal })
    if (asked.status !== 201) throw refusalIn(asked)
    return asked
  })
  const { id, upload } = parsed(answer.text) ?? {}
  if (typeof id !== 'string' || !isSocketId(id) || typeof upload !== 'string') throw refusalIn(answer)
  // The server's clock may differ from ours.
  const expiresAt = Date.now() + 1000 * facts.ttl
  return { id, resource: uploadAddresses(facts, upload), expiresAt }
}

function checkSize(size: number, limit: number): void {
  if (limit === 0 || size <= limit) return
  const [own, most] = formatAgainstLimit(size, limit)
  throw new EssError('too-large', SENDING.tooLarge(own, most))
}
