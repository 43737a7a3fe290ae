import { curlLine, joinUrl, quoteUrl, ROUTES, safeFileName, sealedLink } from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'
import { SENDING } from '../../shared/page-words-sending.js'
import { quoteForShell } from '../../shared/shell-word.js'
import { type Facts, linkOf } from '../facts.js'
import type { Line } from '../ui/terminal.js'
import type { Parcel } from './parcel.js'
import type { Sendable } from './sendable.js'

/** The link with its key, for the receiver. */
export function receiverLink(facts: Facts, id: string, { name, identity }: Sendable): string {
  return identity === undefined ? linkOf(facts, id, name) : sealedLink(linkOf(facts, id), identity)
}

/** What the other side can type in place of opening the link. */
export function receiverLines(
  facts: Facts,
  id: string,
  link: string,
  parcel: Parcel,
  isSealed: boolean,
): readonly Line[] {
  const quoted = quoteUrl(link)
  const byNpx = `npx ${joinUrl(facts.base, ROUTES.clientPackageOfVersion)} get ${quoted}`
  return [
    { words: COMMON.withEss, line: `ess get ${quoted}` },
    ...(facts.servesClient ? [{ words: COMMON.withNode, line: byNpx }] : []),
    isSealed
      ? { words: SENDING.withAge, line: ageLine(quoteUrl(linkOf(facts, id)), parcel) }
      : { words: COMMON.withCurl, line: plainLine(link, parcel) },
  ]
}

function plainLine(link: string, { name, bundle, type }: Parcel): string {
  if (bundle !== undefined) return `curl -f ${quoteUrl(link)} | tar x`
  return name === undefined && type !== undefined ? `curl -f ${quoteUrl(link)}` : curlLine(link, name, 'file')
}

function ageLine(quotedLink: string, { name, bundle }: Parcel): string {
  const opened = `curl -f ${quotedLink} | age -d -i key.txt`
  if (bundle !== undefined) return `${opened} | tar x`
  return name === undefined ? opened : `${opened} > ${quoteForShell(safeFileName(name) ?? 'file')}`
}
