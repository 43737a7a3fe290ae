import type { IncomingMessage } from 'node:http'
import type { Exchange, Reply } from '../http/exchange.js'
import { notEss } from '../http/refusal.js'
import { unreachable } from '../http/wire-errors.js'

/** The media type in which we ask for short responses. */
export const JSON_MEDIA_TYPE = 'application/json'
/** A reservation and a final response have some hundred bytes each. */
const MAX_ANSWER_BYTES = 64 * 1024
/**
 * How long a reservation, or the head of its status stream, may take, connecting included. The server has both at
 * once.
 */
const UNANSWERED_MS = 15_000

/** Waits for a response that the server has at once. Fails the exchange if it doesn't come. */
export async function expectSoon<T>(answer: Exchange, url: URL, coming: Promise<T>): Promise<T> {
  const timer = setTimeout(
    () => answer.fail(unreachable(url, 'it took the connection, but did not answer within 15 s')),
    UNANSWERED_MS,
  )
  try {
    return await coming
  } finally {
    clearTimeout(timer)
  }
}

export async function readText(answer: Reply, head: IncomingMessage, url: URL): Promise<string> {
  let text = ''
  try {
    for await (const chunk of answer.body) {
      text += String(chunk)
      if (text.length > MAX_ANSWER_BYTES) throw notEss(head, url)
    }
  } catch (error) {
    throw answer.failure ?? error
  }
  return text
}
