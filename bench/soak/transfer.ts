import { setTimeout as sleep } from 'node:timers/promises'
import { type Received, type Receiver, receive, type Sender, send, type Verdict } from './peers.js'
import type { Plan } from './plan.js'
import { within } from './wait.js'

/** How a transfer ended on both sides, and what was false about it. */
export interface Ended {
  readonly verdict: Verdict
  /** That reached the receiver. */
  readonly bytes: number
  /** Undefined where both sides were told the truth. */
  readonly falsehood: string | undefined
}

/** The longest way to an end: as slow as a plan may be, then half a minute for a receiver that never closes. */
const DEADLINE_SECONDS = 60

/** Runs one transfer, and looks whether both sides were told the truth. */
export async function transfer(server: string, plan: Plan, body: Buffer): Promise<Ended> {
  const { cut } = plan
  const manner = (peer: 'sender' | 'receiver', rate: number | undefined) => ({
    rate,
    cut: cut?.peer === peer ? cut : undefined,
  })
  let sender: Sender | undefined
  let receiver: Receiver | undefined
  const startSender = (url: string) => {
    sender = send(new URL(url), body, plan.isLengthKnown, manner('sender', plan.senderRate))
    return sender
  }
  const startReceiver = (url: string) => {
    receiver = receive(url, body, manner('receiver', plan.receiverRate))
    return receiver
  }
  try {
    if (plan.isReserved) {
      const { url, upload } = await reserve(server)
      const starts = [() => startSender(upload), () => startReceiver(url)]
      if (plan.isReceiverFirst) starts.reverse()
      starts[0]?.()
      await sleep(plan.delayMs)
      starts[1]?.()
    } else {
      const url = await within(DEADLINE_SECONDS, 'a socket opens', startSender(`${server}/`).url)
      await sleep(plan.delayMs)
      startReceiver(url)
    }
    if (sender === undefined || receiver === undefined) throw new Error('Expected both peers to have started')
    const { received } = receiver
    const verdict = await within(DEADLINE_SECONDS, 'the sender has its verdict', sender.verdict)
    const ending = await within(DEADLINE_SECONDS, 'the receiver is done', received)
    const bytes = receiver.inHand()
    return { verdict, bytes, falsehood: falsehoodOf(plan, verdict, ending, bytes) }
  } finally {
    sender?.leave()
    receiver?.leave()
  }
}

function falsehoodOf(
  { bytes, cut }: Plan,
  verdict: Verdict,
  { isWhole, wrongAt }: Received,
  inHand: number,
): string | undefined {
  if (wrongAt !== undefined) return `a wrong byte at ${wrongAt} or soon after`
  if (cut === undefined) {
    if (isWhole && verdict === 'delivered') return undefined
    return `nobody was cut, and the receiver's is ${isWhole ? 'whole' : 'broken'}, the sender's verdict ${verdict}`
  }
  if (cut.peer === 'sender') {
    if (isWhole) return 'a whole download from a sender that was cut'
    return verdict === 'failed' || (verdict === 'nothing' && cut.kind !== 'stall')
      ? undefined
      : `the sender was cut, and its verdict is ${verdict}`
  }
  // One that was cut with everything in its hands looks like one that is done.
  if (verdict === 'failed' || (verdict === 'delivered' && inHand >= bytes)) return undefined
  // It took none of the last bytes and did not close, and that is what its sender was told.
  if (verdict === 'unconfirmed' && cut.kind === 'stall') return undefined
  return `the receiver was cut with ${inHand} of ${bytes} bytes, and the sender's verdict is ${verdict}`
}

async function reserve(server: string): Promise<{ url: string; upload: string }> {
  const response = await fetch(`${server}/reserve`, {
    method: 'POST',
    headers: { Accept: 'application/json', Connection: 'close' },
  })
  if (response.status !== 201)
    throw new Error(`Expected a reservation, got ${response.status}: ${await response.text()}`)
  // The members that docs/protocol.md promises.
  return (await response.json()) as { url: string; upload: string }
}
