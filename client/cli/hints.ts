import {
  curlLine,
  downloadPath,
  isSocketId,
  type OpenedEvent,
  quoteUrl,
  safeFileName,
} from '../../shared/index.js'
import { quoteForShell } from '../../shared/shell-word.js'
import { namelessFile } from '../files/local-name.js'
import { DEFAULT_SERVER } from '../http/default-server.js'

/** What to tell the person at the receiving end. */
export interface Hints {
  /** What is sent, where there is more to tell than a file's name. */
  readonly what?: string | undefined
  readonly title: string
  /** Commands, either of which will do. */
  readonly lines: readonly string[]
  readonly advice: string
}

/** What is sent, as far as the other side's commands depend on it. */
export interface Sent {
  readonly name: string | undefined
  readonly kind: 'file' | 'text' | 'bundle'
  /** Set for a bundle. */
  readonly what: string | undefined
  /** What opens it. */
  readonly lock: 'none' | 'key in the link' | 'own key' | 'password'
}

/** The commands to type on the other machine, for a transfer that was just opened. */
export function receivingLines(opened: OpenedEvent, sent: Sent): Hints {
  const { hostname } = new URL(opened.url)
  const isHere = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  // A browser would save what is sealed as it is.
  const open = sent.lock === 'none' ? 'open the link, or ' : ''
  return {
    what: sent.what,
    title: `To receive it on ${isHere ? 'this' : 'the other'} machine, ${open}type either of these:`,
    lines: [essLine(opened, sent), otherLine(opened, sent)],
    advice:
      sent.lock === 'key in the link'
        ? 'The link works once. The key is in it, so give it to the receiver alone. Keep this running until the file is delivered.'
        : 'The link works once. Keep this running until the file is delivered.',
  }
}

/** The link without the file's name, which makes a QR code larger and tells the server nothing. */
export function shortLink({ id, url }: OpenedEvent): string {
  const path = downloadPath(id)
  const at = url.lastIndexOf(`${path}/`)
  return at === -1 ? url : url.slice(0, at + path.length)
}

function essLine({ id, url }: OpenedEvent, { lock }: Sent): string {
  const get = lock === 'own key' ? 'ess get -i FILE' : 'ess get'
  const { link, key } = partsOf(url, lock)
  // A person pastes this into a shell, and the server chooses the id and the address: let through only harmless ones.
  const server = link.slice(0, Math.max(0, link.lastIndexOf(downloadPath(id))))
  if (!isSocketId(id) || !/^[\w.:/[\]-]+$/.test(server)) return `${get} ${quoteUrl(url)}`
  const short = server === DEFAULT_SERVER ? id : `${server}${downloadPath(id)}`
  // A # means something to some shells.
  return key === undefined ? `${get} ${short}` : `${get} ${quoteForShell(`${short}#${key}`)}`
}

/** The same without ess. */
function otherLine({ id, url }: OpenedEvent, { name, kind, lock }: Sent): string {
  const { link, key } = partsOf(url, lock)
  if (lock === 'none' && kind === 'file') return curlLine(link, name, namelessFile(id))
  const curl = `curl -f ${quoteUrl(link)}`
  const opened = lock === 'none' ? curl : `${curl} | ${ageLine(lock, key)}`
  if (kind === 'bundle') return `${opened} | tar x`
  if (kind === 'text') return opened
  return `${opened} > ${quoteForShell(safeFileName(name ?? '') ?? namelessFile(id))}`
}

function ageLine(lock: Sent['lock'], key: string | undefined): string {
  if (lock === 'password') return 'age -d'
  return key === undefined ? 'age -d -i FILE' : `age -d -i <(echo ${key})`
}

function partsOf(
  url: string,
  lock: Sent['lock'],
): { readonly link: string; readonly key: string | undefined } {
  // Any other fragment comes from the server.
  const [link = url, key] = lock === 'key in the link' ? url.split('#') : [url]
  return { link, key }
}
