import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { descriptorOf } from '../../node/socket-inside.js'
import { withResolvers } from '../../node/with-resolvers.js'
import type { Splicer } from './splicer.js'

/** Enough to fill and empty the sockets and the pipe by turns. No more, because all of it is in memory at once. */
const PROBE_BYTES = 4 * 1024 * 1024
const PIECE_BYTES = 64 * 1024
/** A hundred times as long as it takes, for a machine that is busy with other things too. */
const PROBE_MS = 3000

/** Moves some MiB over two loopback connections. Rejects unless all of it arrives as it was sent. */
export async function probe(splicer: Splicer): Promise<void> {
  const server = createServer({ pauseOnConnect: true })
  const sockets: Socket[] = []
  const { promise: late, reject } = withResolvers<never>()
  const deadline = setTimeout(() => reject(new Error(`not done within ${PROBE_MS} ms`)), PROBE_MS)
  try {
    await Promise.race([attempt(splicer, server, sockets), late])
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : cause
    throw new Error(`splice(2) was tried and does not work here: ${reason}`, { cause })
  } finally {
    clearTimeout(deadline)
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

async function attempt(splicer: Splicer, server: Server, sockets: Socket[]): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sender = await connection(server, sockets)
  const receiver = await connection(server, sockets)

  const sent = createHash('sha256')
  for (let written = 0; written < PROBE_BYTES; written += PIECE_BYTES) {
    const piece = randomBytes(PIECE_BYTES)
    sent.update(piece)
    sender.peer.write(piece)
  }
  const ended = splicer.start(sender.fd, receiver.fd, PROBE_BYTES).ended.then(({ how }) => {
    receiver.ours.end()
    return how
  })
  const [how, received] = await Promise.all([ended, hashOf(receiver.peer)])
  if (how !== 'whole') throw new Error(`the transfer ended with ${how}`)
  if (received !== sent.digest('hex')) throw new Error('the bytes that arrived are not those that were sent')
}

interface Connection {
  /** The client's side. */
  readonly peer: Socket
  /** The server's side. */
  readonly ours: Socket
  /** The descriptor of the server's side. */
  readonly fd: number
}

async function connection(server: Server, sockets: Socket[]): Promise<Connection> {
  // A server that listens on a port has an address of this kind.
  const { port } = server.address() as AddressInfo
  const peer = connect(port, '127.0.0.1')
  // What arrives shows a failure.
  peer.on('error', () => undefined)
  sockets.push(peer)
  // 'connection' brings one socket.
  const [ours] = (await once(server, 'connection')) as [Socket]
  ours.on('error', () => undefined)
  sockets.push(ours)
  const fd = descriptorOf(ours)
  if (fd === undefined) throw new Error('Node does not tell the descriptor of a socket')
  return { peer, ours, fd }
}

async function hashOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return hash.digest('hex')
}
