import { setInUse } from '../node/host-timeouts.js'
import { wordOfLink } from '../node/last-word.js'
import { endInsteadOfClosing, endWithoutGoodbye, ignoreEnd, isAnswerToOurEnd } from '../node/linger.js'
import { isBrought } from '../node/origin.js'
import { type RequestPort, UNCONFIRMED } from '../node/ports.js'
import { timings } from '../node/timings.js'
import type { Acknowledgement, MarkedAcknowledgement } from './peer-state.js'
import type { Relay } from './relay.js'

/** When the kernel is asked again whether a receiver that has closed its half has everything: less and less often. */
const FIRST_LOOK_MS = 5
const LAST_LOOK_MS = 250

/** What a transfer learns of its receiver. */
export interface ReceiverEvents {
  /** The receiver's connection has closed. `isInGoodOrder` is false for a reset, or if its half was still open. */
  closed(isInGoodOrder: boolean): void
  /** The receiver has everything; or, with false, had not closed its half in time. */
  delivered(isConfirmed: boolean): void
  /** The receiver left before it had everything. */
  lost(): void
}

/** Finds out whether a receiver has everything: by its own end, and by what the kernel knows of it. */
export interface Confirmation {
  /** True when our half was closed behind the last byte, with the receiver still there. */
  isEndWritten(): boolean
  /** True when `awaitEnd` found the receiver still there: the end of the response was given to its connection. */
  isEndGiven(): boolean
  /**
   * Prepares the connection for its end: see `endWithoutGoodbye`. Until `awaitEnd`, a kill of this process resets it if only
   * its end says that the response is whole. Call it before the head is written.
   */
  begin(isLengthKnown: boolean): void
  /** Closes our half alone behind the last byte, and waits for the receiver's end. Call it before the response ends. */
  awaitEnd(): void
  /** Asks the kernel of a receiver that has closed in good order whether it has everything; or the node that brought it. */
  awaitAcknowledgement(): void
  /** Lets go of the connection, and reports nothing more. */
  stop(): void
}

/** Listens to the connection of this receiver's request from now on. */
export function confirmReceiver(
  receiverRequest: RequestPort,
  relay: Relay,
  events: ReceiverEvents,
): Confirmation {
  // Kept, because a finished response has let go of its connection, which has still to be confirmed.
  const { socket: receiverConnection } = receiverRequest
  const { transport } = receiverConnection
  const word = wordOfLink(receiverRequest)
  let isEndWritten = false
  let isEndGiven = false
  let isEndRead = false
  let isAwaited = false
  let mayBeReset = false
  let deadline: NodeJS.Timeout | undefined
  let acknowledgement: Acknowledgement | undefined
  let below: MarkedAcknowledgement | undefined
  let look: NodeJS.Timeout | undefined

  // Before all other listeners: one of those may close the connection.
  receiverConnection.prependListener('end', closedItsHalf).prependListener('error', erred).on('close', closed)
  // A carried receiver may have closed its half with its request.
  if (receiverConnection.readableEnded) closedItsHalf()

  return {
    isEndWritten: () => isEndWritten,
    isEndGiven: () => isEndGiven,
    begin,
    awaitEnd,
    awaitAcknowledgement: () => ask(FIRST_LOOK_MS),
    stop,
  }

  function begin(isLengthKnown: boolean): void {
    // Between nodes an end is one of TLS, where there is TLS.
    if (!isBrought(receiverConnection)) endWithoutGoodbye(receiverConnection, relay.isReset)
    // By HTTP/2, each stream has an end of its own.
    if (isLengthKnown || receiverRequest.httpVersionMajor !== 1) return
    mayBeReset = true
    relay.resetIfKilled(receiverConnection, true)
  }

  function awaitEnd(): void {
    isAwaited = true
    word.expect()
    if (mayBeReset) relay.resetIfKilled(receiverConnection, false)
    isEndGiven = receiverConnection.writable
    // The connection of all streams may be gone together with its peer, so it is held from here on.
    if (transport !== undefined) acknowledgement = below = relay.acknowledgementBelow(transport)
    // Node would close both halves after the last byte. If we close ours alone, the receiver answers with its own end:
    // a FIN when it has read everything, a reset when it has not.
    endInsteadOfClosing(receiverConnection, endOurHalf)
    receiverConnection.once('finish', endWritten)
    setInUse(receiverRequest, receiverConnection, true)
  }

  function endOurHalf(): void {
    // If the receiver's own end came first, Node has ended the connection, and our last bytes found it closed.
    isEndWritten = receiverConnection.writable
    receiverConnection.end()
  }

  function endWritten(): void {
    // 'finish' also comes when Node answers a receiver that left early. That one is about to close.
    if (!isEndWritten) return
    below?.mark()
    ignoreEnd(receiverConnection)
    receiverConnection.setTimeout(0)
    deadline = setTimeout(unconfirmed, timings.confirmMs)
    receiverConnection.once(UNCONFIRMED, unconfirmed)
  }

  function unconfirmed(): void {
    events.delivered(false)
    receiverConnection.destroy()
  }

  function closedItsHalf(): void {
    acknowledgement ??= relay.acknowledgementOf(receiverConnection)
  }

  function erred(error: Error): void {
    isEndRead = isEndWritten && isAnswerToOurEnd(error)
  }

  function closed(hadError: boolean): void {
    events.closed(isEndRead || (!hadError && receiverConnection.readableEnded && word.said() !== undefined))
  }

  /** Our kernel has everything. A receiver that left before its own kernel had it closes its half in as good an order. */
  function ask(nextLookMs: number): void {
    if (word.said() === 'unconfirmed') {
      events.delivered(false)
      return
    }
    const hasAnswered = receiverConnection.hasAnswered === true
    const state = hasAnswered ? 'whole' : (acknowledgement?.state() ?? 'whole')
    if (state === 'whole') events.delivered(true)
    else if (state === 'lost') events.lost()
    else {
      deadline ??= setTimeout(unconfirmed, timings.confirmMs)
      look = setTimeout(() => ask(Math.min(2 * nextLookMs, LAST_LOOK_MS)), nextLookMs)
    }
  }

  function stop(): void {
    clearTimeout(deadline)
    clearTimeout(look)
    receiverConnection
      .off('end', closedItsHalf)
      .off('error', erred)
      .off('close', closed)
      .off('finish', endWritten)
      .off(UNCONFIRMED, unconfirmed)
    receiverConnection.setTimeout(0)
    if (isAwaited) setInUse(receiverRequest, receiverConnection, false)
    acknowledgement?.close()
  }
}
