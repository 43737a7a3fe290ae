import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { LAST_WORDS } from '../node/last-word.js'
import { drainThenDestroy, resetConnection } from '../node/linger.js'
import { timings } from '../node/timings.js'
import { withResolvers } from '../node/with-resolvers.js'
import { confirmReceiver } from '../relay/confirmation.js'
import type { Relay } from '../relay/relay.js'
import { AnswerProgress } from './answer-progress.js'
import type { Carried } from './carried.js'
import type { Errand } from './nodes.js'
import { dropBytes, pumpBytes } from './pump-bytes.js'
import type { Taken } from './takeover.js'

/** How long nothing may come for a receiver that has closed its half, with its request or in the middle of its answer. */
const LEAVER_MS = 1000
const LEAVER_LOOK_MS = 100

/**
 * Carries a client's connection to the node at the other end of `link`, byte for byte in both directions, until both
 * have ended. A reset of one is a reset of the other.
 *
 * For a download the ends take care of the truth. The receiver gets an end in good order only behind a whole answer, and
 * a reset otherwise. The other node takes `LAST_WORDS.confirmed` for the receiver's word that it has everything. So it gets
 * it only when its own end was passed on, and the client's kernel has acknowledged all that precedes it. A client that closes its
 * half before that is reset when it has left.
 */
export function carryConnection(
  { connection, bytes }: Taken,
  { request, isDownload }: Errand,
  link: Socket,
  relay: Relay,
): Carried {
  const progress = isDownload ? new AnswerProgress() : undefined
  let isOver = false
  let isAnswerEnded = false
  let leaver: NodeJS.Timeout | undefined
  const { promise: ended, resolve: end } = withResolvers<void>()

  // Node's own TLS would end our half together with the client's.
  connection.allowHalfOpen = true
  link.write(bytes)
  const confirmation = isDownload
    ? confirmReceiver(request, relay, {
        closed: receiverClosed,
        delivered: (isConfirmed) =>
          finish(() => link.end(LAST_WORDS[isConfirmed ? 'confirmed' : 'unconfirmed'])),
        lost: () => finish(() => resetConnection(link)),
      })
    : undefined
  confirmation?.begin(false)
  const broken = () => finish(breakOff)
  /** Bytes of the request's body that are still to come. */
  let bodyLeft = bodyBehind(request, bytes)
  const up =
    // What a receiver sends behind its request means nothing to its download.
    isDownload && request.complete
      ? dropBytes(connection)
      : pumpBytes(connection, link, {
          relay,
          passed: (part) => {
            bodyLeft -= part.length
          },
          left: () => bodyLeft,
          broken,
        })
  const down = pumpBytes(link, connection, {
    relay,
    passed: (part) => progress?.passed(part),
    left: () => progress?.left,
    broken,
  })
  connection.on('end', clientEnded)
  if (confirmation === undefined) connection.on('close', clientClosed)
  link.on('end', answerEnded).on('close', linkClosed)
  if (connection.readableEnded) endedBefore()
  const moved = () => link.bytesRead + link.bytesWritten + down.moved() + up.moved()
  return { ended, moved, stop: () => finish(breakOff) }

  /** The client has closed its half with its request, as `nc -N` does, or while its node was looked for. */
  function endedBefore(): void {
    if (progress === undefined) link.end()
    else watchLeaver(progress)
  }

  /** The client has closed its half. */
  function clientEnded(): void {
    if (isOver || isAnswerEnded) return
    if (progress === undefined) link.end()
    else if (progress.hasBegun) void endedMidway(progress)
    // It doesn't want an answer any more, and the file stays for another receiver.
    else finish(breakOff)
  }

  /**
   * A receiver that closes its half before its last byte counts as gone, unless the rest is in our kernel already. Later
   * bytes would be taken by a proxy in between, which keeps to itself that nobody reads them.
   */
  async function endedMidway(answer: AnswerProgress): Promise<void> {
    // It may have bytes that are not counted here yet.
    if (!isWhole(answer)) await down.settle()
    if (isOver || isAnswerEnded) return
    if (isWhole(answer)) watchLeaver(answer)
    else finish(breakOff)
  }

  /**
   * A receiver that has closed its half may still read, if only the end of its answer is missing, or bytes that are under
   * way. If it has left, its kernel answers the next of them with a reset. If none come, it counts as lost.
   */
  function watchLeaver(answer: AnswerProgress): void {
    let last = 0
    let sinceMs = performance.now()
    leaver ??= setInterval(() => {
      const now = answer.bytes + down.moved()
      const nowMs = performance.now()
      if (now !== last) [last, sinceMs] = [now, nowMs]
      const isAllUnderWay = isWhole(answer) || connection.writableLength > 0
      if (nowMs - sinceMs >= (isAllUnderWay ? timings.confirmMs : LEAVER_MS)) finish(breakOff)
    }, LEAVER_LOOK_MS)
  }

  /** True when all of the answer has come, but for the end of the link. */
  function isWhole(answer: AnswerProgress): boolean {
    return answer.isComplete || answer.left === down.moved()
  }

  /** The other node has closed its half: its answer is over, and all of it is written to the client. */
  function answerEnded(): void {
    if (isOver) return
    // The kernel of a node that dies closes its links in good order, in the middle of a file, and wget would take that
    // for the end of a chunk and of its body. Other answers are passed on as they end: a status stream that says
    // `failed` ends in good order, without its last chunk.
    if (progress !== undefined && !isWhole(progress)) {
      finish(breakOff)
      return
    }
    isAnswerEnded = true
    clearInterval(leaver)
    if (confirmation === undefined) connection.end()
    else {
      confirmation.awaitEnd()
      connection.destroySoon()
    }
  }

  function clientClosed(hadError: boolean): void {
    const isInGoodOrder = !hadError && isAnswerEnded && connection.readableEnded
    finish(() => (isInGoodOrder ? link.destroySoon() : resetConnection(link)))
  }

  function receiverClosed(isInGoodOrder: boolean): void {
    if (isOver) return
    if (isInGoodOrder && isAnswerEnded && confirmation?.isEndWritten()) confirmation.awaitAcknowledgement()
    else finish(() => resetConnection(link))
  }

  function linkClosed(): void {
    if (isOver) return
    // Its last words may still be on their way to a client that goes on sending.
    if (isAnswerEnded && confirmation === undefined) finish(() => drainThenDestroy(connection))
    else if (isAnswerEnded) finish(() => connection.destroy())
    else finish(() => resetConnection(connection))
  }

  function breakOff(): void {
    resetConnection(link)
    resetConnection(connection)
  }

  function finish(how: () => void): void {
    if (isOver) return
    isOver = true
    clearInterval(leaver)
    confirmation?.stop()
    connection.off('end', clientEnded).off('close', clientClosed)
    link.off('end', answerEnded).off('close', linkClosed)
    const released = [up.stop(), down.stop()].filter((one) => one !== undefined)
    const tell = () => {
      how()
      end()
    }
    // They never reject.
    if (released.length === 0) tell()
    else void Promise.all(released).then(tell)
  }
}

/** How many bytes of a request's body come behind those that were taken with its head. */
function bodyBehind({ headers }: IncomingMessage, taken: Buffer): number {
  const bodyAt = taken.indexOf(END_OF_HEAD) + END_OF_HEAD.length
  return Number(headers['content-length'] ?? 0) - (taken.length - bodyAt)
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')
