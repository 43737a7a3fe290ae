import { MessageChannel } from 'node:worker_threads'

/** A port whose other end is closed: memory that is transferred to it is freed. */
const nowhere = (() => {
  const { port1, port2 } = new MessageChannel()
  port1.close()
  port2.close()
  return port1
})()

/** A smaller chunk costs the garbage collector less than the call costs here. */
const WORTH_FREEING_BYTES = 4096

/**
 * Frees the memory of chunks that have been written. The garbage collector would let 64 MiB of such chunks pile up first
 * (V8's soft limit for memory outside its heap), and takes ten times as long over each. A chunk that shares its memory
 * is left alone; those of Node's HTTP parser don't. (`ArrayBuffer.prototype.transfer` would say it plainly, but needs
 * Node 22.)
 */
export function freeChunks(chunks: readonly Uint8Array[]): void {
  const own = chunks.filter(
    ({ buffer, byteLength }) => byteLength >= WORTH_FREEING_BYTES && buffer.byteLength === byteLength,
  )
  if (own.length === 0) return
  // The other kind is shared between threads, and node:http reads into none of that.
  nowhere.postMessage(
    null,
    own.map(({ buffer }) => buffer as ArrayBuffer),
  )
}
