import { formatDuration, formatLimit, formatPart } from '../../shared/index.js'
import type { ResponsePort } from '../node/ports.js'
import { timings } from '../node/timings.js'
import { withResolvers } from '../node/with-resolvers.js'
import { confirmReceiver } from './confirmation.js'
import type { Flow, Gear, Pump, TransferFailure } from './gears/pump.js'
import { RawBody } from './gears/raw-body.js'
import { rawStreamsPump } from './gears/raw-streams.js'
import { socketsPump } from './gears/sockets.js'
import { splicePump } from './gears/splice.js'
import { type StreamBody, streamsPump } from './gears/streams.js'
import { addLength } from './length-trailer.js'
import type { Relay } from './relay.js'

/** The terms of one transfer. */
export interface TransferOptions {
  /** The declared length of the sender's body in bytes; undefined if it is chunked. */
  readonly total: number | undefined
  /** Bytes; 0 for no limit. */
  readonly maxUploadBytes: number
  /** Milliseconds without a byte moving; 0 for no limit. */
  readonly stallTimeoutMs: number
  /** Writes the head of the receiver's response. Called at most once, when the first byte or the end is there. */
  readonly writeHead: () => void
  /** Called once, when the first byte of the sender's body was read, or its end: from here it can't begin again. */
  readonly bodyBegan: () => void
  /** The gears of the service. */
  readonly relay: Relay
}

/** The bytes of the sender's file: raw from its connection, or as Node gives them. */
export type SenderBody = RawBody | StreamBody

/** How a transfer ended. */
export type TransferEnd =
  /** `confirmed` is false if the receiver had not closed its half 30 s after its last byte. */
  | { readonly input: 'delivered'; readonly confirmed: boolean }
  /** `detail` is for people, on both sides. */
  | { readonly input: TransferFailure; readonly detail: string }

/** One transfer under way. */
export interface Transfer {
  readonly gear: Gear
  /** Fulfilled with how it ended. Never rejected, and never fulfilled after `stop`. */
  readonly ended: Promise<TransferEnd>
  /** Bytes that the kernel has taken for the receiver. */
  bytes(): number
  /** Milliseconds from `createTransfer` to the first byte; undefined before that. */
  firstByteMs(): number | undefined
  /** Begins to read the sender's body. Until then only losses are noticed. */
  start(): void
  /** Lets go of both sides, for a socket that ends for another reason. Returns a promise if that takes a while. */
  stop(): Promise<void> | undefined
}

/**
 * Moves the bytes of one transfer: the sender's body into the receiver's response, at the receiver's pace. It counts,
 * limits, and notices which peer hung up. It ends neither leg: the socket does that when `ended` says how it went.
 */
export function createTransfer(
  senderBody: SenderBody,
  receiverResponse: ResponsePort,
  options: TransferOptions,
): Transfer {
  const { total, maxUploadBytes, stallTimeoutMs } = options
  const madeAt = performance.now()
  let isOver = false
  let isHeadWritten = false
  let firstByteAt: number | undefined
  let isSenderDone = false
  let heldHead: NodeJS.Timeout | undefined

  const { promise: ended, resolve } = withResolvers<TransferEnd>()
  const flow: Flow = { receiverResponse, stallTimeoutMs, total, admit, senderEnded, fail }
  const pump = createPump(senderBody, flow, options.relay)

  receiverResponse.on('timeout', stalled)
  const confirmation = confirmReceiver(receiverResponse, options.relay, {
    closed: receiverClosed,
    delivered: (confirmed) => end({ input: 'delivered', confirmed }),
    lost: () => fail('receiver-lost'),
  })

  return {
    gear: pump.gear,
    ended,
    bytes: pump.handedOn,
    firstByteMs: () => (firstByteAt === undefined ? undefined : firstByteAt - madeAt),
    start,
    stop,
  }

  function start(): void {
    pump.start()
    if (isOver) return
    // After the bytes that were there already: the receiver waits for those.
    if (!isHeadWritten) heldHead = setTimeout(writeHead, timings.heldHeadMs)
    // Every byte that moves, either way, restarts the idle timer of the receiver's connection: the sender's bytes go
    // straight into it, and the part of a write that the kernel took counts too.
    receiverResponse.setTimeout(stallTimeoutMs)
  }

  function admit(): boolean {
    const received = pump.received()
    if (total !== undefined && received > total) {
      // A form whose end belies its length. HTTP itself lets no body exceed its Content-Length.
      fail(
        'bad-request',
        `The file in the form is longer than the ${total} bytes that the form's length leaves for it. Send the file itself, as curl -T does.`,
      )
    } else if (maxUploadBytes > 0 && received > maxUploadBytes) {
      fail(
        'too-large',
        `The file is larger than the ${formatLimit(maxUploadBytes)} that this server takes. Only its operator can raise that (--max-upload-bytes).`,
      )
    } else if (firstByteAt === undefined) {
      firstByteAt = performance.now()
      options.bodyBegan()
      writeHead()
    }
    return !isOver
  }

  function senderEnded(isWhole: boolean): void {
    if (isSenderDone || isOver) return
    if (!isWhole || (total !== undefined && pump.received() !== total)) {
      fail('sender-lost')
      return
    }
    isSenderDone = true
    if (firstByteAt === undefined) options.bodyBegan()
    writeHead()
    if (isOver) return
    confirmation.awaitEnd()
    addLength(receiverResponse, pump.received())
    receiverResponse.end()
  }

  function receiverClosed(isInGoodOrder: boolean): void {
    // A thread that still moves bytes has counted them all only when it has let go.
    const released = pump.stop()
    if (released === undefined) judge(isInGoodOrder)
    else void released.then(() => judge(isInGoodOrder))
  }

  function judge(isInGoodOrder: boolean): void {
    if (isOver) return
    // A receiver that counts for itself may close its half before our end of the body is out.
    const received = pump.received()
    const isAtEnd = confirmation.isEndWritten() || (total !== undefined && total > 0 && received === total)
    const isAllHandedOn = pump.handedOn() === received
    if (isAtEnd && isAllHandedOn && isInGoodOrder) confirmation.awaitAcknowledgement()
    else fail('receiver-lost')
  }

  function stalled(): void {
    // With nothing left to send, the response may still hold bytes: HTTP/2 keeps the last ones back for its end.
    const isAllSent = isSenderDone || (total !== undefined && pump.received() === total)
    const who = isAllSent || pump.isBlocked() ? 'receiver took' : 'sender sent'
    fail(
      'stalled',
      `The ${who} nothing for ${formatDuration(stallTimeoutMs / 1000)}, after ${formatPart(pump.handedOn(), total)}. Check that side's program and network, then send the file again.`,
    )
  }

  function fail(input: TransferFailure, detail = lossOf(input)): void {
    end({ input, detail })
  }

  /** What both sides are told of a peer that went away. */
  function lossOf(input: TransferFailure): string {
    const has = total !== undefined && pump.handedOn() < total ? "doesn't have" : 'may not have'
    return input === 'receiver-lost'
      ? `The receiver stopped after ${formatPart(pump.handedOn(), total)}, so it ${has} the whole file. Send it again for a new link.`
      : `The sender stopped after ${formatPart(pump.received(), total)}, so the receiver does not have the whole file. Send it again for a new link.`
  }

  function writeHead(): void {
    if (isHeadWritten) return
    isHeadWritten = true
    clearTimeout(heldHead)
    if (receiverResponse.writableEnded) {
      fail(
        'receiver-lost',
        'The program around this service answered the receiver itself. Mount the service before middleware that answers.',
      )
      return
    }
    // No later than this: if the receiver's end comes first, Node ends our half by itself.
    confirmation.begin()
    try {
      options.writeHead()
    } catch (error) {
      // A gear calls this from a callback, where an exception would end the process.
      const reason = error instanceof Error ? error.message : String(error)
      fail('internal-error', `The download could not be started: ${reason}. This is a bug: please report it.`)
    }
  }

  function end(how: TransferEnd): void {
    if (isOver) return
    const released = stop()
    if (released === undefined) resolve(how)
    else void released.then(() => resolve(how))
  }

  function stop(): Promise<void> | undefined {
    if (!isOver) {
      isOver = true
      clearTimeout(heldHead)
      receiverResponse.off('timeout', stalled)
      confirmation.stop()
    }
    return pump.stop()
  }
}

/** The least costly gear that these two connections allow. */
function createPump(body: SenderBody, flow: Flow, relay: Relay): Pump {
  if (!(body instanceof RawBody)) return streamsPump(body, flow)
  if (body.way === 'stream') return rawStreamsPump(body, flow)
  const splicer = relay.splicerFor(body, flow.receiverResponse)
  if (splicer === undefined || body.contentLength === undefined) return socketsPump(body, flow)
  return splicePump(body, body.contentLength, flow, splicer)
}
