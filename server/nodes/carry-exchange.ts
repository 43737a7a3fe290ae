import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { LAST_WORDS } from '../node/last-word.js'
import { ignoreEnd, mayEnd, resetConnection } from '../node/linger.js'
import { withResolvers } from '../node/with-resolvers.js'
import { confirmReceiver } from '../relay/confirmation.js'
import type { Relay } from '../relay/relay.js'
import { askAnew, fieldsOf, hasBody } from './ask-anew.js'
import { type Break, leaveBody, onBrokenBody } from './broken-bodies.js'
import type { Carried } from './carried.js'
import { type PassingOn, passOn } from './copying.js'
import type { Errand } from './nodes.js'

/** What Node's parser can't read as a chunk. */
const BAD_CHUNK = 'x\r\n'

/**
 * Carries one request whose connection can't be carried as it is: a stream of HTTP/2, or a chunked body that Node's
 * parser has begun to read. It is asked anew over `link` by HTTP/1.1, and the answer is written to the client's own
 * response. The ends are as in `carryConnection`.
 */
export function carryExchange(
  { request, response, isDownload }: Errand,
  link: Socket,
  relay: Relay,
): Carried {
  const { promise: ended, resolve: end } = withResolvers<void>()
  let answer: IncomingMessage | undefined
  let down: PassingOn | undefined
  let isOver = false
  /** True when the answer has come whole, and was written. */
  let isAnswered = false

  const confirmation = isDownload
    ? confirmReceiver(request, relay, {
        closed: receiverClosed,
        delivered: (isConfirmed) => finish(() => sayEnd(isConfirmed)),
        lost: () => finish(() => resetConnection(link)),
      })
    : undefined
  // Node would end the link together with the other node.
  if (isDownload) ignoreEnd(link)
  const asked = askAnew(request, link)
  asked
    // It was paused after the handshake, and Node leaves that as it is.
    .once('socket', () => link.resume())
    .on('continue', () => response.writeContinue())
    .on('response', (incoming) => begin(incoming))
    .on('error', () => finish(breakOff))
  link.on('close', linkClosed)
  response.on('close', responseClosed)
  const up = sendBody(request, asked, () => finish(breakOff))
  onBrokenBody(request.socket, bodyBroken)
  return { ended, moved: () => link.bytesRead + link.bytesWritten, stop: () => finish(breakOff) }

  function bodyBroken(how: Break): void {
    response.shouldKeepAlive = false
    let isPassed = false
    const later = () => setImmediate(pass)
    asked.once('socket', later)
    request.on('data', later)
    later()

    /** Behind all that was read before. */
    function pass(): void {
      if (isOver || isPassed || asked.socket === null || request.readableLength > 0) return
      isPassed = true
      request.off('data', later)
      up?.finish()
      if (how === 'end') link.end()
      else link.write(BAD_CHUNK)
    }
  }

  function begin(incoming: IncomingMessage): void {
    if (isOver) return
    answer = incoming
    // With this, Node leaves the link to us when the answer is over.
    if (isDownload) asked.shouldKeepAlive = true
    confirmation?.begin(false)
    response.writeHead(incoming.statusCode ?? 502, fieldsOf(incoming))
    down = passOn(incoming, response, request.socket)
    incoming.on('end', answerEnded).on('error', () => finish(breakOff))
  }

  function answerEnded(): void {
    if (isOver) return
    // An answer that broke off ends too.
    if (answer === undefined || !answer.complete) {
      finish(breakOff)
      return
    }
    isAnswered = true
    down?.finish()
    const trailers = Object.entries(answer.trailers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    )
    if (trailers.length > 0) response.addTrailers(Object.fromEntries(trailers))
    confirmation?.awaitEnd()
    response.end()
  }

  /** Only a receiver's connection is asked for more than this. */
  function responseClosed(): void {
    if (!isAnswered) finish(() => resetConnection(link))
    else if (confirmation === undefined) finish(() => link.destroySoon())
  }

  function receiverClosed(isInGoodOrder: boolean): void {
    if (isOver) return
    if (isInGoodOrder && isAnswered && response.writableFinished) confirmation?.awaitAcknowledgement()
    else finish(() => resetConnection(link))
  }

  /** The node that answers has ended the link, or died. */
  function linkClosed(): void {
    if (!isAnswered) finish(breakOff)
    else if (confirmation !== undefined) finish(() => request.socket.destroy())
  }

  function sayEnd(isConfirmed: boolean): void {
    mayEnd(link)
    link.end(LAST_WORDS[isConfirmed ? 'confirmed' : 'unconfirmed'])
  }

  function breakOff(): void {
    resetConnection(link)
    resetConnection(request.socket)
  }

  function finish(how: () => void): void {
    if (isOver) return
    isOver = true
    confirmation?.stop()
    link.off('close', linkClosed)
    response.off('close', responseClosed)
    up?.stop()
    down?.stop()
    leaveBody(request.socket)
    how()
    end()
  }
}

function sendBody(request: IncomingMessage, asked: ClientRequest, broken: () => void): PassingOn | undefined {
  if (!hasBody(request)) {
    asked.end()
    return undefined
  }
  // A client that waits for a 100 (Continue) gets that of the other node.
  asked.flushHeaders()
  const up = passOn(request, asked)
  request
    .on('end', () => {
      up.finish()
      if (request.complete) asked.end()
      else broken()
    })
    .on('error', broken)
    .on('aborted', broken)
  return up
}
