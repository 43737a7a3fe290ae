import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { Cut, CutKind } from './plan.js'
import { anyOf } from './wait.js'

/** What a sender was told in the end; `nothing` when its connection was gone before. */
export type Verdict = 'delivered' | 'unconfirmed' | 'failed' | 'nothing'

/** What a peer does with its body. */
export interface Manner {
  /** Bytes a second; undefined for as fast as it goes. */
  readonly rate: number | undefined
  readonly cut: Cut | undefined
}

/** A slow peer takes its share this often. */
const STEP_MS = 100
const CHUNK_BYTES = 64 * 1024

/** A sender on its way. */
export interface Sender {
  /** The link for the receiver, where it opened its own socket; rejects when it was refused. */
  readonly url: Promise<string>
  readonly verdict: Promise<Verdict>
  leave(): void
}

/** Sends `body` to `url`: `PUT /` answers early, an upload resource at the end. */
export function send(url: URL, body: Buffer, isLengthKnown: boolean, manner: Manner): Sender {
  const isEarly = url.pathname === '/'
  const senderRequest = request(url, {
    agent: false,
    method: 'PUT',
    headers: {
      Accept: isEarly ? 'application/x-ndjson' : 'application/json',
      ...(isLengthKnown ? { 'Content-Length': body.length } : { 'Transfer-Encoding': 'chunked' }),
    },
  })
  // Whatever breaks the connection, what was told before it is the verdict.
  senderRequest.on('error', () => {})
  senderRequest.flushHeaders()
  const answer = readAnswer(senderRequest)
  if (isEarly) void answer.opened.then(() => push(senderRequest, body, manner)).catch(() => {})
  else
    senderRequest.once('socket', (socket) => {
      // Cut before that, it would never have come, and a reservation's receiver goes on waiting for it.
      socket.once('connect', () => void push(senderRequest, body, manner))
    })
  return { url: answer.opened, verdict: answer.verdict, leave: () => senderRequest.destroy() }
}

function readAnswer(senderRequest: ClientRequest): { opened: Promise<string>; verdict: Promise<Verdict> } {
  let text = ''
  let openedNow: (url: string) => void = () => {}
  let notOpened: (error: Error) => void = () => {}
  const opened = new Promise<string>((resolve, reject) => {
    openedNow = resolve
    notOpened = reject
  })
  // Only some look at it.
  opened.catch(() => {})
  const verdict = new Promise<Verdict>((resolve) => {
    let response: IncomingMessage | undefined
    senderRequest.once('response', (senderResponse) => {
      response = senderResponse
      senderResponse.setEncoding('utf8').on('error', () => {})
      senderResponse.on('data', (piece: string) => {
        text += piece
        const [, url] = /^{"event":"opened".*?"url":"([^"]+)".*\n/.exec(text) ?? []
        if (url !== undefined) openedNow(url)
      })
    })
    senderRequest.once('close', () => {
      notOpened(
        new Error(`Expected a socket, got ${response?.statusCode ?? 'no answer'}: ${text.slice(0, 200)}`),
      )
      resolve(verdictOf(response?.statusCode, text))
    })
  })
  return { opened, verdict }
}

function verdictOf(status: number | undefined, text: string): Verdict {
  // A refusal before or instead of a transfer.
  if (status !== undefined && status >= 400) return 'failed'
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  if (/^{"event":"delivered".*"confirmed":true/.test(last)) return 'delivered'
  if (/^{"event":"delivered"/.test(last)) return 'unconfirmed'
  return /^{"event":"failed"/.test(last) ? 'failed' : 'nothing'
}

async function push(senderRequest: ClientRequest, body: Buffer, { rate, cut }: Manner): Promise<void> {
  const end = cut?.at ?? body.length
  const step = rate === undefined ? CHUNK_BYTES : Math.ceil((rate * STEP_MS) / 1000)
  for (let at = 0; at < end; at += step) {
    if (rate !== undefined) await sleep(STEP_MS)
    if (senderRequest.destroyed) return
    if (!senderRequest.write(body.subarray(at, Math.min(at + step, end))))
      await anyOf(senderRequest, 'drain', 'close', 'error')
  }
  if (cut === undefined) senderRequest.end()
  else {
    // What was written is on its way by then.
    await sleep(STEP_MS)
    leaveBy(cut.kind, senderRequest)
  }
}

function leaveBy(kind: CutKind, peer: ClientRequest | IncomingMessage): void {
  // One that stalls stays, and leaves when the transfer is over.
  if (kind === 'reset') peer.socket?.resetAndDestroy()
  else if (kind === 'close') peer.destroy()
}

/** What became of a receiver. */
export interface Received {
  /** It had an ending in good order, after as many bytes as it should have. */
  readonly isWhole: boolean
  /** The first byte that was not the sender's; undefined where there is none. */
  readonly wrongAt: number | undefined
}

/** A receiver on its way. */
export interface Receiver {
  readonly received: Promise<Received>
  /** Bytes that have reached this process, or had when the receiver left, whether or not it took them. */
  inHand(): number
  leave(): void
}

/** Receives from `url`, and compares each byte with `body`. */
export function receive(url: string, body: Buffer, { rate, cut }: Manner): Receiver {
  const receiverRequest = request(url, { agent: false, headers: { Accept: '*/*' } })
  let taken = 0
  let inHand = () => taken
  const received = new Promise<Received>((resolve) => {
    const refused = () => resolve({ isWhole: false, wrongAt: undefined })
    receiverRequest.on('error', refused)
    receiverRequest.once('response', (response) => {
      response.on('error', () => {})
      if (response.statusCode === 200) resolve(pull(response))
      else {
        response.resume()
        refused()
      }
    })
  })
  receiverRequest.end()
  return { received, inHand: () => inHand(), leave: () => receiverRequest.destroy() }

  async function pull(response: IncomingMessage): Promise<Received> {
    // Node reads ahead of its HTTP parser as well, once that has enough; of a chunked body, with its framing.
    inHand = () => taken + response.readableLength + response.socket.readableLength
    const step = rate === undefined ? Number.POSITIVE_INFINITY : Math.ceil((rate * STEP_MS) / 1000)
    let wrongAt: number | undefined
    while (cut === undefined || taken < cut.at) {
      if (rate !== undefined) await sleep(STEP_MS)
      const most = Math.min(step, (cut?.at ?? Number.POSITIVE_INFINITY) - taken, response.readableLength)
      // It gives bytes, for no encoding was set.
      const chunk = response.read(most) as Buffer | null
      if (chunk !== null) {
        if (!chunk.equals(body.subarray(taken, taken + chunk.length))) wrongAt ??= taken
        taken += chunk.length
      } else if (response.readableEnded || response.destroyed) {
        return { isWhole: response.complete && taken === body.length, wrongAt }
      } else {
        await anyOf(response, 'readable', 'end', 'close')
      }
    }
    // What came in one piece with the head is given out after it.
    await setImmediate()
    if (cut.kind !== 'stall') {
      const left = inHand()
      inHand = () => left
    }
    leaveBy(cut.kind, response)
    return { isWhole: false, wrongAt }
  }
}
