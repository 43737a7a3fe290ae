import type { Socket } from 'node:net'

/**
 * Moves bytes from one connection to another, at the pace of the slower one, until the returned function is called.
 * `passed` is told of each piece. It ends neither: the caller sees their ends.
 */
export function pumpBytes(source: Socket, sink: Socket, passed: (bytes: Buffer) => void): () => void {
  const take = (bytes: Buffer) => {
    passed(bytes)
    // What comes for a peer that has left is thrown away, so that the end behind it is seen.
    if (sink.writable && !sink.write(bytes)) source.pause()
  }
  const resume = () => source.resume()
  source.on('data', take)
  sink.on('drain', resume)
  source.resume()
  return () => {
    source.off('data', take)
    sink.off('drain', resume)
  }
}
