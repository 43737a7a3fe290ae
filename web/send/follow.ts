import { STATUS_MEDIA_TYPES, StatusDecoder, type StatusEvent } from '../../shared/index.js'
import { ALWAYS } from '../http/ask.js'
import type { Resource } from './resource.js'

/**
 * Reads the events of an upload, from its present state on, until they end. It never throws: the upload's own requests
 * tell how it ends too.
 */
export async function follow(
  { events }: Resource,
  signal: AbortSignal,
  onEvent: (event: StatusEvent) => void,
): Promise<void> {
  try {
    const answer = await fetch(events, {
      ...ALWAYS,
      headers: { accept: STATUS_MEDIA_TYPES.ndjson },
      signal,
    })
    const reader = answer.body?.getReader()
    if (!answer.ok || reader === undefined) return
    const utf8 = new TextDecoder()
    const decoder = new StatusDecoder()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      for (const event of decoder.push(utf8.decode(value, { stream: true }))) onEvent(event)
    }
  } catch {
    // The network was cut, the caller aborts it, or a proxy answers. The caller follows again.
  }
}
