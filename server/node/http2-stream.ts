import { constants, type ServerHttp2Stream } from 'node:http2'

/**
 * Resets a stream without ending it. `close` by itself ends the writable side first, and sends that end before the
 * reset: the peer would have a whole response, and a reset behind it that no client looks at. An end that is never
 * carried out can't be sent.
 */
export function abortStream(stream: ServerHttp2Stream): void {
  stream._final = finishAtOnce
  stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}

/**
 * Lets a stream live until it has said that its response has left. When the last frame of both sides is out, Node destroys a
 * stream whose request was read to its end at once, and calls no write finished after that; with any other request it
 * waits, as here. A second call, as from a session that ends, is carried out.
 */
export function destroyWhenFinished(stream: ServerHttp2Stream): void {
  const destroy = stream.destroy
  let isHeld = false
  stream.destroy = (error) => {
    const isClosedWell =
      error === undefined &&
      stream.closed &&
      stream.rstCode === constants.NGHTTP2_NO_ERROR &&
      !stream.readable
    const mayFinish = stream.writableEnded && !stream.writableFinished && !stream.destroyed
    if (isHeld || !isClosedWell || !mayFinish) return destroy.call(stream, error)
    isHeld = true
    stream.once('finish', () => stream.destroy())
    return stream
  }
}

function finishAtOnce(done: () => void): void {
  done()
}
