import type { ServerResponse } from 'node:http'
import type { Socket as Connection } from 'node:net'
import { formatDuration } from '../../shared/index.js'
import { setInUse } from '../node/host-timeouts.js'
import { endWithoutGoodbye, isAnswerToOurEnd } from '../node/linger.js'
import { UNCONFIRMED } from '../node/ports.js'
import { withResolvers } from '../node/with-resolvers.js'
import type { Flow, Gear, Pump, TransferFailure } from './gears/pump.js'
import { RawBody } from './gears/raw-body.js'
import { rawStreamsPump } from './gears/raw-streams.js'
import { socketsPump } from './gears/sockets.js'
import { splicePump } from './gears/splice.js'
import { type StreamBody, streamsPump } from './gears/streams.js'
import { addLength } from './length-trailer.js'
import type { Acknowledgement } from './peer-state.js'
import type { Relay } from './relay.js'

/** How long the receiver's head is held back for the sender's first byte: a dead sender gives a 502, not a broken 200. */
const HELD_HEAD_MS = 10_000

/** How long the receiver has, after its last byte, to close its half: what the kernel still holds must reach it first. */
const CONFIRM_MS = 30_000

/** How soon it is looked again whether the kernel of a receiver that has closed its half has everything: less and less. */
const FIRST_LOOK_MS = 5
const LAST_LOOK_MS = 250

/** What a transfer needs to know. */
export interface TransferOptions {
  /** The declared length of the sender's body in bytes; undefined when it is chunked. */
  readonly total: number | undefined
  /** Bytes; 0 for no limit. */
  readonly maxUploadBytes: number
  /** Milliseconds without a byte moving; 0 for no limit. */
  readonly stallTimeoutMs: number
  /** Writes the head of the receiver's response. Called at most once, when the first byte or the end is there. */
  readonly writeHead: () => void
  /** Which gears there are. */
  readonly relay: Relay
}

/** The bytes of the sender's file: as they come on its connection where that can be had, or as Node gives them. */
export type SenderBody = RawBody | StreamBody

/** How a transfer ended. */
export type TransferEnd =
  /** `confirmed` is false when the receiver had not closed its half 30 s after its last byte. */
  | { readonly input: 'delivered'; readonly confirmed: boolean }
  /** `detail` is for people, on both sides. */
  | { readonly input: TransferFailure; readonly detail: string }

/** One transfer under way. */
export interface Transfer {
  readonly gear: Gear
  /** Fulfilled with how it ended; never rejected, and never fulfilled after `stop`. */
  readonly ended: Promise<TransferEnd>
  /** Bytes that the kernel has taken for the receiver. */
  bytes(): number
  /** Milliseconds from the making of it, when its receiver came, to its first byte; undefined where none has moved. */
  firstByteMs(): number | undefined
  /** True until the sender's first byte was read. */
  isUntouched(): boolean
  /** Begins to read the sender's body. Until then only losses are noticed. */
  start(): void
  /** Lets go of both sides, for a socket that ends for another reason; a promise where that takes a while. */
  stop(): Promise<void> | undefined
}

/**
 * Moves the bytes of one transfer: the sender's body into the receiver's response, at the receiver's pace.
 * It counts, limits, and notices who hung up. It ends neither leg: that is the socket's to do, when `ended`
 * says how it went.
 */
export function createTransfer(
  senderBody: SenderBody,
  receiverResponse: ServerResponse,
  options: TransferOptions,
): Transfer {
  const { total, maxUploadBytes, stallTimeoutMs } = options
  // Kept, because a finished response has let go of its connection, which has still to be confirmed.
  const receiverConnection = receiverResponse.req.socket
  const madeAt = performance.now()
  let isOver = false
  let isHeadWritten = false
  let firstByteAt: number | undefined
  let isSenderDone = false
  let isEndWritten = false
  let isEndRead = false
  let confirmation: NodeJS.Timeout | undefined
  let acknowledgement: Acknowledgement | undefined
  let look: NodeJS.Timeout | undefined
  let heldHead: NodeJS.Timeout | undefined

  const { promise: ended, resolve } = withResolvers<TransferEnd>()
  const flow: Flow = { receiverResponse, stallTimeoutMs, total, admit, senderEnded, fail }
  const pump = createPump(senderBody, flow, options.relay)

  receiverResponse.on('timeout', stalled)
  // First of all: whoever listens after it may close the connection.
  receiverConnection
    .prependListener('end', receiverClosedItsHalf)
    .prependListener('error', receiverErred)
    .on('close', receiverClosed)

  return {
    gear: pump.gear,
    ended,
    bytes: pump.handedOn,
    firstByteMs: () => (firstByteAt === undefined ? undefined : firstByteAt - madeAt),
    isUntouched: () => pump.received() === 0 && !isSenderDone,
    start,
    stop,
  }

  function start(): void {
    pump.start()
    if (isOver) return
    // After the bytes that were there already: the receiver waits for those.
    if (!isHeadWritten) heldHead = setTimeout(writeHead, HELD_HEAD_MS)
    // The idle timer of the receiver's connection is started anew by every byte that moves, either way: the
    // sender's bytes go straight into it, and the part of a write that the kernel took counts as well.
    receiverResponse.setTimeout(stallTimeoutMs)
  }

  function admit(): boolean {
    const received = pump.received()
    if (total !== undefined && received > total) {
      // A form whose end is not as its length foretold; HTTP itself lets no body go beyond its Content-Length.
      fail('bad-request', `Expected a file of ${total} bytes, as the form's length says, got more`)
    } else if (maxUploadBytes > 0 && received > maxUploadBytes) {
      fail('too-large', `Expected at most ${maxUploadBytes} bytes, got more`)
    } else if (firstByteAt === undefined) {
      firstByteAt = performance.now()
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
    writeHead()
    if (isOver) return
    // Node would close the whole connection after the last byte; closing our half alone lets the receiver
    // answer with its own: a FIN when it has read everything, a reset when it has not.
    receiverConnection.destroySoon = endReceiverConnection
    receiverConnection.once('finish', awaitConfirmation)
    setInUse(receiverResponse.req, receiverConnection, true)
    addLength(receiverResponse, pump.received())
    receiverResponse.end()
  }

  function endReceiverConnection(): void {
    // Node has ended it already where the receiver's own end came first, and our last bytes found it closed.
    isEndWritten = receiverConnection.writable
    receiverConnection.end()
  }

  function awaitConfirmation(): void {
    // It also comes when Node answers a receiver that left early: that one is about to close.
    if (!isEndWritten) return
    // Node ends it once more when the receiver's end has come, and would make an error of that for nobody.
    receiverConnection.end = hasEnded
    receiverConnection.setTimeout(0)
    confirmation = setTimeout(unconfirmed, CONFIRM_MS)
    receiverConnection.once(UNCONFIRMED, unconfirmed)
  }

  function unconfirmed(): void {
    end({ input: 'delivered', confirmed: false })
    receiverConnection.destroy()
  }

  function receiverClosedItsHalf(): void {
    acknowledgement ??= options.relay.acknowledgementOf(receiverConnection)
  }

  function receiverErred(error: Error): void {
    isEndRead = isEndWritten && isAnswerToOurEnd(error)
  }

  function receiverClosed(hadError: boolean): void {
    const isInGoodOrder = isEndRead || (!hadError && receiverConnection.readableEnded)
    // A thread that is still moving bytes has counted them all when it has let go.
    const released = pump.stop()
    if (released === undefined) judge(isInGoodOrder)
    else void released.then(() => judge(isInGoodOrder))
  }

  function judge(isInGoodOrder: boolean): void {
    if (isOver) return
    // A receiver that counts for itself may close its half before our end of the body is out.
    const received = pump.received()
    const isAtEnd = isEndWritten || (total !== undefined && total > 0 && received === total)
    const isAllHandedOn = pump.handedOn() === received
    if (isAtEnd && isAllHandedOn && isInGoodOrder) awaitAcknowledgement()
    else fail('receiver-lost')
  }

  /** Our kernel has all of it; but a receiver that left before its own had all closes its half in as good an order. */
  function awaitAcknowledgement(nextLookMs = FIRST_LOOK_MS): void {
    const state = acknowledgement?.state() ?? 'whole'
    if (state === 'whole') end({ input: 'delivered', confirmed: true })
    else if (state === 'lost') fail('receiver-lost')
    else {
      confirmation ??= setTimeout(unconfirmed, CONFIRM_MS)
      look = setTimeout(() => awaitAcknowledgement(Math.min(2 * nextLookMs, LAST_LOOK_MS)), nextLookMs)
    }
  }

  function stalled(): void {
    const who = pump.isBlocked() ? 'receiver took' : 'sender sent'
    fail('stalled', `the ${who} nothing for ${formatDuration(stallTimeoutMs / 1000)}`)
  }

  function fail(input: TransferFailure, detail = lossOf(input)): void {
    end({ input, detail })
  }

  /** What both sides are told of a peer that went away. */
  function lossOf(input: TransferFailure): string {
    return input === 'receiver-lost'
      ? `the receiver disconnected after ${pump.handedOn()} bytes`
      : `the sender disconnected after ${pump.received()} bytes`
  }

  function writeHead(): void {
    if (isHeadWritten) return
    isHeadWritten = true
    clearTimeout(heldHead)
    if (receiverResponse.writableEnded) {
      fail('receiver-lost', 'the program around this service answered the receiver')
      return
    }
    // From here on: where the receiver's end comes first, Node ends our half by itself.
    endWithoutGoodbye(receiverConnection)
    options.writeHead()
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
      clearTimeout(confirmation)
      clearTimeout(look)
      receiverResponse.off('timeout', stalled)
      receiverConnection
        .off('end', receiverClosedItsHalf)
        .off('error', receiverErred)
        .off('close', receiverClosed)
        .off('finish', awaitConfirmation)
        .off(UNCONFIRMED, unconfirmed)
      receiverConnection.setTimeout(0)
      if (isSenderDone) setInUse(receiverResponse.req, receiverConnection, false)
      acknowledgement?.close()
    }
    return pump.stop()
  }
}

/** What is left of `end` for a connection that has ended already. */
function hasEnded(this: Connection): Connection {
  return this
}

/** The least costly way that these two connections allow. */
function createPump(body: SenderBody, flow: Flow, relay: Relay): Pump {
  if (!(body instanceof RawBody)) return streamsPump(body, flow)
  if (body.way === 'stream') return rawStreamsPump(body, flow)
  const splicer = relay.splicerFor(body, flow.receiverResponse)
  if (splicer === undefined || body.contentLength === undefined) return socketsPump(body, flow)
  return splicePump(body, body.contentLength, flow, splicer)
}
