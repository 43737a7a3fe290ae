import { MessageChannel } from 'node:worker_threads'

/** A port whose other end is closed: what is transferred to it is gone. */
const nowhere = (() => {
  const { port1, port2 } = new MessageChannel()
  port1.close()
  port2.close()
  return port1
})()

/**
 * Frees the memory of a chunk that has been written, instead of leaving it to the garbage collector, which lets
 * 64 MiB of such chunks pile up before it looks (V8's soft limit for memory outside its heap), and takes ten
 * times as long over each. Only a chunk that has its memory for itself, as those of Node's HTTP parser have.
 * (`ArrayBuffer.prototype.transfer` would say it plainly, but came with Node 22.)
 */
export function freeChunk({ buffer, byteLength }: Uint8Array): void {
  if (buffer.byteLength === byteLength && buffer instanceof ArrayBuffer) nowhere.postMessage(null, [buffer])
}
