import { curlLine, joinUrl, quoteUrl, ROUTES, safeFileName, sealedLink } from '../../shared/index.js'
import { quoteForShell } from '../../shared/shell-word.js'
import { type Facts, linkOf } from '../facts.js'
import type { Line } from '../ui/terminal.js'
import { WORDS } from '../words.js'
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
    { words: WORDS.link.byEss, line: `ess get ${quoted}` },
    ...(facts.servesClient ? [{ words: WORDS.link.byNpx, line: byNpx }] : []),
    isSealed
      ? { words: WORDS.link.byAge, line: ageLine(quoteUrl(linkOf(facts, id)), parcel) }
      : { words: WORDS.link.byCurl, line: plainLine(link, parcel) },
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
