import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { nodeAway } from '../answer/node-away.js'
import { askAnew, fieldsOf } from './ask-anew.js'

/** Another node answers such a request from its memory. It may have to find it at a third one first. */
const ANSWER_MS = 5000

/** A problem or a reservation has less than 4 KiB. */
const MAX_ANSWER_BYTES = 64 * 1024

/** Another node's answer as a whole. */
export interface NodeAnswer {
  readonly status: number
  readonly fields: OutgoingHttpHeaders
  readonly body: string
}

/**
 * Asks the node at the other end of `link` the same as a client has asked, without a body, and reads the whole answer.
 * Rejects with EssError `node-away`.
 */
export async function askNode(request: IncomingMessage, link: Socket): Promise<NodeAnswer> {
  const asked = askAnew(request, link)
  const deadline = setTimeout(() => link.destroy(), ANSWER_MS)
  try {
    return await new Promise<NodeAnswer>((resolve, reject) => {
      asked
        // It was paused after the handshake, and Node leaves that as it is.
        .once('socket', () => link.resume())
        .on('response', (answer) => void readAnswer(answer).then(resolve, reject))
        .on('error', reject)
        .end()
    })
  } catch (cause) {
    throw nodeAway(cause)
  } finally {
    clearTimeout(deadline)
    link.destroy()
  }
}

async function readAnswer(answer: IncomingMessage): Promise<NodeAnswer> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    length += piece.length
    if (length > MAX_ANSWER_BYTES) throw new Error(`Expected at most ${MAX_ANSWER_BYTES} bytes, got more`)
    pieces.push(piece)
  }
  return {
    status: answer.statusCode ?? 502,
    fields: fieldsOf(answer),
    body: Buffer.concat(pieces).toString(),
  }
}
