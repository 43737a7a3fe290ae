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

/** How long the last frame of a response may take to the kernel, before the peer is asked what it has. */
const LAST_FRAME_MS = 1000

/**
 * Lets a stream live until it has said that its response has left. When both sides have ended, Node destroys a stream whose
 * request was read to its end at once, and calls no write finished after that; with any other request it waits, as here.
 * A peer that leaves by a reset without an error looks the same, and then the end never leaves: `isRead` asks the peer, and
 * fulfils with true when it has read all that was sent before.
 */
export function destroyWhenFinished(stream: ServerHttp2Stream, isRead: () => Promise<boolean>): void {
  const destroy = stream.destroy
  let isHeld = false
  const isFinishing = () =>
    stream.closed &&
    stream.rstCode === constants.NGHTTP2_NO_ERROR &&
    stream.writableEnded &&
    !stream.writableFinished &&
    !stream.destroyed
  const hold = () => {
    isHeld = true
    const timer = setTimeout(() => {
      void isRead().then((isAnswered) => {
        if (isAnswered) stream.destroy()
      })
    }, LAST_FRAME_MS)
    stream.once('finish', () => stream.destroy()).once('close', () => clearTimeout(timer))
  }
  // Node's own wait: the request ends when it is dumped.
  stream.once('end', () => {
    if (isFinishing()) hold()
  })
  stream.destroy = (error) => {
    // A second call, as from a session that ends, is carried out.
    if (isHeld || error !== undefined || stream.readable || !isFinishing()) return destroy.call(stream, error)
    hold()
    return stream
  }
}

function finishAtOnce(done: () => void): void {
  done()
}
