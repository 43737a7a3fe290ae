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

function finishAtOnce(done: () => void): void {
  done()
}
