import { DEFAULT_CONTENT_TYPE, EssError, safeFileName } from '../../shared/index.js'
import { localFileName, namelessFile } from '../files/local-name.js'
import type { Exchange } from '../http/exchange.js'
import { takeHeader } from './body-header.js'
import type { Keyring } from './keyring.js'
import { expectOffer, type HeadOffer, type Offer, type OpenOffer } from './offer.js'
import { makeSeal, partIdOf, sizeInside } from './seal.js'
import type { Wanted } from './wanted.js'

/**
 * Opens the offer in the answer to a HEAD. Its size is undefined if the head gives none; the GET may still give one. Throws
 * EssError `key-required`, `wrong-key` or `not-authentic`.
 */
export async function openPreview(head: HeadOffer, keyring: Keyring): Promise<OpenOffer> {
  if (head.note !== undefined) return await openNoted(head, head.note, keyring)
  if (!keyring.isNeeded) return inTheOpen(head)
  // Which key it takes is in the body's first bytes, so no other run can go on with its part.
  return { ...inAgeFile(head, keyring), isResumable: false, bodySize: head.size, seal: undefined }
}

/**
 * Reads and opens the offer in the answer to a GET. Throws the server's refusal, or EssError `not-ess`, `incomplete`,
 * `key-required`, `wrong-key` or `not-authentic`.
 */
export async function expectOpenOffer(answer: Exchange, { url, keyring }: Wanted): Promise<OpenOffer> {
  const isAnnounced = keyring.hasNote
  const head = await expectOffer(answer, url)
  if (head.note !== undefined) return await openNoted(head, head.note, keyring)
  if (!keyring.isNeeded) return inTheOpen(head)
  if (isAnnounced)
    throw new EssError(
      'not-authentic',
      'The server said that this file is encrypted, and then that it is not. Ask the sender to send it again, by another server.',
    )
  const { header, nonce } = await takeHeader(answer, head.size).catch(withLinkUsedUp)
  const openHeader = await keyring.openHeader(header).catch(withLinkUsedUp)
  const begin = Buffer.concat([header, nonce])
  const size = insideOf(begin, head.size)
  const seal = makeSeal(openHeader, nonce, { size, isNoted: false })
  return { ...inAgeFile(head, keyring), size, isResumable: head.isResumable, bodySize: head.size, seal }
}

/** False if the body's first bytes may have to be read before it is known how to open it. */
export function opensByHead({ keyring }: Wanted): boolean {
  return keyring.hasNote || !keyring.isNeeded
}

/** What is to be told of an offer. What opens it is not. */
export function told({ id, name, size, type, bundle, isSealed }: Offer): Offer {
  return {
    id,
    name,
    size,
    type,
    ...(bundle !== undefined && { bundle }),
    ...(isSealed !== undefined && { isSealed }),
  }
}

/** Throws the same error, and what it means for the link: this is the answer to a GET. */
function withLinkUsedUp(error: unknown): never {
  if (!(error instanceof EssError) || error.code !== 'not-authentic') throw error
  throw new EssError(error.code, `${error.message} The link is used up: ask the sender for a new one.`, {
    cause: error,
  })
}

async function openNoted(head: HeadOffer, value: string, keyring: Keyring): Promise<OpenOffer> {
  const { id, isResumable, size: bodySize } = head
  const { note, header } = await keyring.openNote(value)
  const begin = Buffer.concat([header.header, note.payloadNonce])
  const size = insideOf(begin, bodySize) ?? note.size
  if (note.size !== undefined && size !== note.size) throw otherSize()
  const seal = makeSeal(header, note.payloadNonce, { size, isNoted: true })
  return {
    id,
    name: localFileName(safeFileName(note.name ?? '') ?? namelessFile(id)),
    size,
    type: isPrintable(note.type) ? note.type : DEFAULT_CONTENT_TYPE,
    bundle: note.bundle,
    isSealed: true,
    isResumable,
    bodySize,
    seal,
    partId: partIdOf(id, seal),
  }
}

function inTheOpen({ note: _note, ...head }: HeadOffer): OpenOffer {
  return { ...head, bodySize: head.size, seal: undefined, partId: head.id }
}

/**
 * What is known of an age file that `curl -T` sends, until its header is here. Its name is not sealed: with a key from the
 * link, the server would have taken the sealed one away, and chosen this one.
 */
function inAgeFile(
  { id, name }: HeadOffer,
  { sealsNames }: Keyring,
): Omit<OpenOffer, 'isResumable' | 'bodySize' | 'seal'> {
  const inTheOpen = sealsNames ? '' : name.replace(/\.age$/i, '')
  return {
    id,
    name: safeFileName(inTheOpen) ?? namelessFile(id),
    size: undefined,
    type: DEFAULT_CONTENT_TYPE,
    isSealed: true,
    partId: `${id}.age`,
  }
}

function insideOf(begin: Buffer, bodySize: number | undefined): number | undefined {
  const size = sizeInside(begin, bodySize)
  if (Number.isNaN(size)) throw otherSize()
  return size
}

function otherSize(): EssError {
  return new EssError(
    'not-authentic',
    'The server offers another size than that of what the sender encrypted. Ask the sender to send it again.',
  )
}

function isPrintable(text: string | undefined): text is string {
  return text !== undefined && /^[\x20-\x7e]+$/.test(text)
}
