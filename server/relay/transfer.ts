import { formatCount, formatDuration, formatLimit, formatPart } from '../../shared/index.js'
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

/** What one receiver gets. */
export interface Span {
  /** The offset at which this receiver's bytes begin in the sender's sequence. */
  readonly from: number
  /** The length of the sender's sequence in bytes; undefined if it is not known. */
  readonly total: number | undefined
  /** Writes the head of the receiver's response. Called at most once, when the first byte or the end is there. */
  readonly writeHead: () => void
}

/** The terms of one transfer. */
export interface TransferOptions {
  /** Bytes; 0 for no limit. */
  readonly maxUploadBytes: number
  /** Milliseconds without a byte moving; 0 for no limit. */
  readonly stallTimeoutMs: number
  /** Called once a part, when the first byte of its body was read, or its end: from here it can't begin again. */
  readonly bodyBegan: () => void
  /**
   * A part is over, and the receiver waits for the next one, which begins at `position`. `loss` says why a part broke
   * off; it is undefined where a piece has ended whole. Absent if no other part can come: then a loss ends the transfer.
   */
  readonly paused?: (loss: string | undefined) => void
  /**
   * Milliseconds for a receiver that says by itself when it has everything (`confirm`), from when its connection says so.
   * Absent for one whose connection alone says it.
   */
  readonly wordMs?: number | undefined
  /** The gears of the service. */
  readonly relay: Relay
}

/** The bytes of the sender's file: raw from its connection, or as Node gives them. */
export type SenderBody = RawBody | StreamBody

/** The body of one of the sender's requests, as a part of its sequence. */
export interface Part {
  readonly body: SenderBody
  /** The offset at which it begins in the sequence. */
  readonly offset: number
  /** Bytes; undefined if the body is chunked. */
  readonly length: number | undefined
  /** True if the sequence ends with it; false for a piece that another one follows. */
  readonly isLast: boolean
}

/** How a transfer ended. */
export type TransferEnd =
  /** `confirmed` is false if the receiver did not say in time that it has everything, by its connection or by itself. */
  | { readonly input: 'delivered'; readonly confirmed: boolean }
  /** `detail` is for people, on both sides. */
  | { readonly input: TransferFailure; readonly detail: string }

/** One transfer under way. */
export interface Transfer {
  /** Fulfilled with how it ended. Never rejected, and never fulfilled after `stop`. */
  readonly ended: Promise<TransferEnd>
  /** How the bytes of the last part were moved; undefined before `join`. */
  gear(): Gear | undefined
  /** The offset behind the last byte that the kernel has taken for the receiver. */
  position(): number
  /**
   * The offset at which the next part has to begin, when one is over: behind every byte that is on its way to the
   * receiver, and can't be taken back.
   */
  given(): number
  /** Milliseconds from `createTransfer` to the first byte; undefined before that. */
  firstByteMs(): number | undefined
  /** Joins the next part, in the place of one that is over, or of which no byte was read. No byte moves before `start`. */
  join(part: Part): void
  /**
   * The receiver says that it has everything up to this offset, and that it is safe. False if that can't be, and then
   * nothing has changed.
   */
  confirm(offset: number): boolean
  /** True once the last part has ended, and all that the receiver may lack is on its way. */
  isEnding(): boolean
  /** True while the receiver's connection has said that it has everything, and the receiver itself has not. */
  isUnsaid(): boolean
  /** Begins to read the part's body. Until then only losses are noticed. */
  start(): void
  /** Has the part break off: its sender is lost. Settled when that is done, and the next part may be joined. */
  loseSender(detail: string): Promise<void>
  /** Lets go of both sides, for a socket that ends for another reason. Returns a promise if that takes a while. */
  stop(): Promise<void> | undefined
}

/**
 * Moves the bytes of one transfer: the sender's body, in one part or several, into the receiver's response, at the
 * receiver's pace. It counts, limits, and notices which peer hung up. It ends neither leg: the socket does that when
 * `ended` says how it went.
 */
export function createTransfer(
  receiverResponse: ResponsePort,
  span: Span,
  options: TransferOptions,
): Transfer {
  const { from, total } = span
  const { maxUploadBytes, stallTimeoutMs } = options
  const madeAt = performance.now()
  let part: Part | undefined
  let pump: Pump | undefined
  let isOver = false
  let isHeadWritten = false
  let firstByteAt: number | undefined
  /** Of the current part. */
  let hasBegun = false
  let isSenderDone = false
  let isPaused = false
  let heldHead: NodeJS.Timeout | undefined
  /** The receiver has said that it has everything. */
  let isSaid = false
  /** Runs while the receiver has still to say it. */
  let unsaid: NodeJS.Timeout | undefined

  const { promise: ended, resolve } = withResolvers<TransferEnd>()

  receiverResponse.on('timeout', stalled)
  const confirmation = confirmReceiver(receiverResponse.req, options.relay, {
    closed: receiverClosed,
    delivered,
    lost: () => fail('receiver-lost'),
  })

  return {
    ended,
    gear: () => pump?.gear,
    position: () => behind(pump?.handedOn()),
    given: () => behind(pump?.received()),
    firstByteMs: () => (firstByteAt === undefined ? undefined : firstByteAt - madeAt),
    join,
    confirm,
    isEnding: () => isSenderDone && part?.isLast === true,
    isUnsaid: () => unsaid !== undefined,
    start,
    loseSender,
    stop,
  }

  /** The offset behind this many bytes of the current part. */
  function behind(bytes = 0): number {
    return (part?.offset ?? from) + bytes
  }

  function join(next: Part): void {
    // Not a byte of it has moved, or it has let go already; so there is nothing to wait for.
    void pump?.stop()
    part = next
    hasBegun = false
    isSenderDone = false
    isPaused = false
    const { length } = next
    // The response has a length if the sequence has one, and chunks otherwise. The body has the one or the other too, and
    // not always the same: the last piece of a file of unknown length has a length of its own. And chunks that break off
    // can't go on.
    const isAlike = (length === undefined) === (total === undefined)
    const isReframed = !isAlike || (total === undefined && options.paused !== undefined)
    const flow: Flow = { receiverResponse, stallTimeoutMs, length, isReframed, admit, senderEnded, fail }
    pump = createPump(next.body, flow, options.relay)
  }

  function start(): void {
    pump?.start()
    if (isOver || isPaused) return
    // After the bytes that were there already: the receiver waits for those.
    if (!isHeadWritten) heldHead ??= setTimeout(writeHead, timings.heldHeadMs)
    // Every byte that moves, either way, restarts the idle timer of the receiver's connection: the sender's bytes go
    // straight into it, and the part of a write that the kernel took counts too.
    receiverResponse.setTimeout(stallTimeoutMs)
  }

  function admit(): boolean {
    const received = pump?.received() ?? 0
    if (part?.length !== undefined && received > part.length) {
      // A form whose end belies its length. HTTP itself lets no body exceed its Content-Length.
      fail(
        'bad-request',
        `The file in the form is longer than the ${formatCount(part.length, 'byte')} that the form's length leaves for it. Send the file itself, as curl -T does.`,
      )
    } else if (maxUploadBytes > 0 && behind(received) > maxUploadBytes) {
      fail(
        'too-large',
        `The file is larger than the ${formatLimit(maxUploadBytes)} that this server takes. Only its operator can raise that (--max-upload-bytes).`,
      )
    } else if (total !== undefined && behind(received) > total) {
      fail(
        'bad-request',
        `The file is longer than the ${formatCount(total, 'byte')} that its first request announced. Send it again for a new link.`,
      )
    } else if (!hasBegun) {
      firstByteAt ??= performance.now()
      began()
      writeHead()
    }
    return !isOver
  }

  function began(): void {
    if (hasBegun) return
    hasBegun = true
    options.bodyBegan()
  }

  function senderEnded(isWhole: boolean): void {
    if (isSenderDone || isOver || isPaused || part === undefined || pump === undefined) return
    const received = pump.received()
    if (!isWhole || (part.length !== undefined && received !== part.length)) {
      fail('sender-lost')
      return
    }
    isSenderDone = true
    began()
    // A sender that was cut after its last byte has come back for the verdict.
    if (isOver || unsaid !== undefined) return
    if (!part.isLast) {
      pump.whenHandedOn(() => pause(undefined))
      return
    }
    if (total !== undefined && behind(received) !== total) {
      fail(
        'bad-request',
        `The file ended at byte ${behind(received)}, and its first request announced ${formatCount(total, 'byte')}. Send it again for a new link.`,
      )
      return
    }
    writeHead()
    if (isOver) return
    confirmation.awaitEnd()
    addLength(receiverResponse, behind(received) - from)
    receiverResponse.end()
  }

  /** Keeps the receiver, with its head out or still held, for the next part. */
  function pause(loss: string | undefined): void {
    if (isOver || isPaused) return
    isPaused = true
    receiverResponse.setTimeout(0)
    const released = pump?.stop('the receiver stays')
    const tell = () => {
      if (!isOver) options.paused?.(loss)
    }
    // A thread that still moves bytes has counted them all only when it has let go.
    if (released === undefined) tell()
    else void released.then(tell)
  }

  async function loseSender(detail: string): Promise<void> {
    pause(detail)
    await pump?.stop('the receiver stays')
  }

  /** Its connection says so. A browser's says that the browser has the bytes, and not what became of them. */
  function delivered(isConfirmed: boolean): void {
    const { wordMs } = options
    if (wordMs === undefined || isSaid) {
      end({ input: 'delivered', confirmed: isConfirmed || isSaid })
      return
    }
    confirmation.stop()
    unsaid ??= setTimeout(() => end({ input: 'delivered', confirmed: false }), wordMs)
  }

  function confirm(offset: number): boolean {
    const isAtEnd = isSenderDone || (total !== undefined && total > 0 && offset === total)
    if (isOver || !isAtEnd || offset !== behind(pump?.received())) return false
    isSaid = true
    if (unsaid !== undefined) end({ input: 'delivered', confirmed: true })
    return true
  }

  function receiverClosed(isInGoodOrder: boolean): void {
    // As in `pause`.
    const released = pump?.stop()
    if (released === undefined) judge(isInGoodOrder)
    else void released.then(() => judge(isInGoodOrder))
  }

  function judge(isInGoodOrder: boolean): void {
    if (isOver || unsaid !== undefined) return
    // A receiver that counts for itself may close its half before our end of the body is out. And one may have the end of
    // a body without a length, and be gone, before Node tells us that it is out: by TLS that takes a turn of the event loop.
    const received = behind(pump?.received())
    const isCounted = total !== undefined && total > 0 && received === total
    const isEndOut = confirmation.isEndGiven() && receiverResponse.writableFinished
    const isAtEnd = confirmation.isEndWritten() || isEndOut || isCounted
    const isAllHandedOn = behind(pump?.handedOn()) === received
    if (isSaid) delivered(true)
    else if (isAtEnd && isAllHandedOn && isInGoodOrder) confirmation.awaitAcknowledgement()
    else fail('receiver-lost')
  }

  function stalled(): void {
    if (unsaid !== undefined) return
    // With nothing left to send, the response may still hold bytes: HTTP/2 keeps the last ones back for its end.
    const isAllSent = isSenderDone || (part?.length !== undefined && pump?.received() === part.length)
    const isReceivers = isAllSent || pump?.isBlocked() === true
    const who = isReceivers ? 'receiver took' : 'sender sent'
    const detail = `The ${who} nothing for ${formatDuration(stallTimeoutMs / 1000)}, after ${formatPart(behind(pump?.handedOn()), total)}. Check that side's program and network, then send the file again.`
    if (isReceivers) fail('stalled', detail)
    // A sender whose connection says nothing more may come back by another one.
    else if (options.paused !== undefined) pause(detail)
    else fail('stalled', detail)
  }

  function fail(input: TransferFailure, detail = lossOf(input)): void {
    // Every byte has arrived, and what became of them the receiver alone knows.
    if (unsaid !== undefined) return
    if (input === 'sender-lost' && options.paused !== undefined) pause(detail)
    else end({ input, detail })
  }

  /** What both sides are told of a peer that went away. */
  function lossOf(input: TransferFailure): string {
    const has = total !== undefined && behind(pump?.handedOn()) < total ? "doesn't have" : 'may not have'
    return input === 'receiver-lost'
      ? `The receiver stopped after ${formatPart(behind(pump?.handedOn()), total)}, so it ${has} the whole file. Send it again for a new link.`
      : `The sender stopped after ${formatPart(behind(pump?.received()), total)}, so the receiver does not have the whole file. Send it again for a new link.`
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
    confirmation.begin(total !== undefined)
    try {
      span.writeHead()
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
      clearTimeout(unsaid)
      receiverResponse.off('timeout', stalled)
      confirmation.stop()
    }
    return pump?.stop()
  }
}

/** The least costly gear that these two connections allow. */
function createPump(body: SenderBody, flow: Flow, relay: Relay): Pump {
  if (!(body instanceof RawBody)) return streamsPump(body, flow)
  if (body.way === 'stream' || flow.isReframed) return rawStreamsPump(body, flow)
  const splicer = relay.splicerFor(body, flow.receiverResponse)
  if (splicer === undefined || body.contentLength === undefined) return socketsPump(body, flow)
  return splicePump(body, body.contentLength, flow, splicer)
}
