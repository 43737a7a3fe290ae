import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { ignoreEnd, mayEnd, resetConnection } from '../node/linger.js'
import { withResolvers } from '../node/with-resolvers.js'
import { confirmReceiver } from '../relay/confirmation.js'
import type { Relay } from '../relay/relay.js'
import { askAnew, fieldsOf, hasBody } from './ask-anew.js'
import type { Carried } from './carried.js'
import type { Errand } from './nodes.js'

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
  let isOver = false
  /** True when the answer has come whole, and was written. */
  let isAnswered = false

  const confirmation = isDownload
    ? confirmReceiver(request, relay, {
        closed: receiverClosed,
        // As in `carryConnection`.
        delivered: (isConfirmed) => finish(() => isConfirmed && sayEnd()),
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
  response.on('close', responseClosed).on('drain', goOn)
  sendBody(request, asked, () => finish(breakOff))
  return { ended, stop: () => finish(breakOff) }

  function begin(incoming: IncomingMessage): void {
    if (isOver) return
    answer = incoming
    // With this, Node leaves the link to us when the answer is over.
    if (isDownload) asked.shouldKeepAlive = true
    confirmation?.begin()
    response.writeHead(incoming.statusCode ?? 502, fieldsOf(incoming))
    incoming
      .on('data', (bytes: Buffer) => {
        if (!response.write(bytes)) incoming.pause()
      })
      .on('end', answerEnded)
      .on('error', () => finish(breakOff))
  }

  function goOn(): void {
    answer?.resume()
  }

  function answerEnded(): void {
    if (isOver) return
    // An answer that broke off ends too.
    if (answer === undefined || !answer.complete) {
      finish(breakOff)
      return
    }
    isAnswered = true
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

  function sayEnd(): void {
    mayEnd(link)
    link.end()
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
    response.off('close', responseClosed).off('drain', goOn)
    how()
    end()
  }
}

function sendBody(request: IncomingMessage, asked: ClientRequest, broken: () => void): void {
  if (!hasBody(request)) {
    asked.end()
    return
  }
  // A client that waits for a 100 (Continue) gets that of the other node.
  asked.flushHeaders()
  asked.on('drain', () => request.resume())
  request
    .on('data', (bytes: Buffer) => {
      if (!asked.write(bytes)) request.pause()
    })
    .on('end', () => (request.complete ? asked.end() : broken()))
    .on('error', broken)
    .on('aborted', broken)
}
