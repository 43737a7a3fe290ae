import { once } from 'node:events'
import { request } from 'node:http'
import { onTestFinished } from 'vitest'
import { isTerminal, StatusDecoder, type StatusEvent } from '../../shared/index.js'
import { until } from './within.js'

/** A sender that says whatever a test has it say of its tar. */
export interface BundleSender {
  readonly url: string
  readonly id: string
  /** The last event. */
  verdict(): Promise<StatusEvent>
  /** Sends more, if it didn't send all at once. */
  write(bytes: Buffer): void
}

export interface Sent {
  readonly tar: Buffer
  readonly entries: number
  /** Default: `photos.tar`. */
  readonly name?: string
  /** How many bytes are sent at first. Default: all. */
  readonly first?: number
}

export async function sendBundle(
  serverUrl: string,
  { tar, entries, name = 'photos.tar', first }: Sent,
): Promise<BundleSender> {
  const events: StatusEvent[] = []
  const upload = request(`${serverUrl}/?filename=${encodeURIComponent(name)}`, {
    method: 'POST',
    headers: {
      accept: 'application/x-ndjson',
      'content-type': 'application/x-tar',
      'content-length': tar.length,
      'ess-bundle': `tar;entries=${entries}`,
      expect: '100-continue',
    },
  })
  onTestFinished(() => void upload.destroy())
  upload.on('error', () => {}) // The events tell how it ended.
  upload.once('continue', () => {
    if (first === undefined) upload.end(tar)
    else upload.write(tar.subarray(0, first))
  })
  void once(upload, 'response').then(([response]) => {
    const decoder = new StatusDecoder()
    response.setEncoding('utf8').on('data', (text: string) => events.push(...decoder.push(text)))
    response.on('error', () => {}) // As above.
  })
  upload.flushHeaders()
  const opened = await until('the link is there', () => events.find(({ event }) => event === 'opened'))
  if (opened.event !== 'opened') throw new Error('no link')
  return {
    url: opened.url,
    id: opened.id,
    verdict: () => until('the sender knows how it ended', () => events.find(isTerminal)),
    write: (bytes) => void upload.write(bytes),
  }
}
