import { curlLine, downloadPath, isSocketId, type OpenedEvent, quoteUrl } from '../../shared/index.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { namelessFile } from '../receive/local-name.js'

/** What to tell the person at the receiving end. */
export interface Hints {
  readonly title: string
  /** Commands, either of which will do. */
  readonly lines: readonly string[]
}

/** The commands to type on the other machine, for a transfer that was just opened. */
export function receivingLines({ id, url }: OpenedEvent, name: string | undefined): Hints {
  const { hostname } = new URL(url)
  const isHere = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  const path = url.lastIndexOf(downloadPath(id))
  const server = path === -1 ? undefined : url.slice(0, path)
  return {
    title: isHere
      ? 'To receive it, in another terminal of this machine:'
      : 'To receive it, on the other machine:',
    lines: [essLine(id, url, server), curlLine(url, name, namelessFile(id))],
  }
}

function essLine(id: string, url: string, server: string | undefined): string {
  // A person pastes this into a shell, and the server chooses the id and the address: let through only harmless ones.
  if (server === undefined || !isSocketId(id) || !/^[\w.:/[\]-]+$/.test(server))
    return `ess get ${quoteUrl(url)}`
  return server === DEFAULT_SERVER ? `ess get ${id}` : `ess get ${id} --server ${server}`
}
