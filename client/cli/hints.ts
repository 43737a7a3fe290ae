import { curlLine, downloadPath, isSocketId, type OpenedEvent, quoteUrl } from '../../shared/index.js'
import { namelessFile } from '../files/local-name.js'
import { DEFAULT_SERVER } from '../http/default-server.js'

/** What to tell the person at the receiving end. */
export interface Hints {
  readonly title: string
  /** Commands, either of which will do. */
  readonly lines: readonly string[]
  readonly advice: string
}

/** What is sent, as far as the other side's commands depend on it. */
export interface Sent {
  readonly name: string | undefined
  readonly isText: boolean
}

/** The commands to type on the other machine, for a transfer that was just opened. */
export function receivingLines({ id, url }: OpenedEvent, { name, isText }: Sent): Hints {
  const { hostname } = new URL(url)
  const isHere = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  return {
    title: isHere
      ? 'To receive it on this machine, open the link, or type either of these:'
      : 'To receive it on the other machine, open the link, or type either of these:',
    lines: [essLine(id, url), isText ? `curl -f ${quoteUrl(url)}` : curlLine(url, name, namelessFile(id))],
    advice: 'The link works once. Keep this running until the file is delivered.',
  }
}

/** The link without the file's name, which makes a QR code larger and tells the server nothing. */
export function shortLink({ id, url }: OpenedEvent): string {
  const path = downloadPath(id)
  const at = url.lastIndexOf(`${path}/`)
  return at === -1 ? url : url.slice(0, at + path.length)
}

function essLine(id: string, url: string): string {
  // A person pastes this into a shell, and the server chooses the id and the address: let through only harmless ones.
  const server = url.slice(0, Math.max(0, url.lastIndexOf(downloadPath(id))))
  if (!isSocketId(id) || !/^[\w.:/[\]-]+$/.test(server)) return `ess get ${quoteUrl(url)}`
  return server === DEFAULT_SERVER ? `ess get ${id}` : `ess get ${server}${downloadPath(id)}`
}
