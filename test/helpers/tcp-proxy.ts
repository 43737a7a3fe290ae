import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { withResolvers } from '../../server/node/with-resolvers.js'
import { DEADLINE_MS, within } from './within.js'

/** What a network does to a connection. */
export type Fault =
  /** What comes from now on, in either direction, is passed on so much later; once. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** What comes from now on passes no faster than this, in each direction. */
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** The next bytes in each direction pass one by one. */
  | { readonly kind: 'split'; readonly bytes: number }
  /** One bit of the next byte to the peer is changed. */
  | { readonly kind: 'flip' }
  /** The server is told that the peer will say no more (FIN); the peer can still read. */
  | { readonly kind: 'half-close' }
  /** Both sides are told so, and nothing passes any more. */
  | { readonly kind: 'fin' }
  /** Both sides are reset. */
  | { readonly kind: 'rst' }
  /** Nothing is read or passed on any more, not even an end; the connections stay open, those to come as well. */
  | { readonly kind: 'black-hole' }

/** From the peer to the server, or back. */
export type Direction = 'up' | 'down'

/** A proxy on loopback that does to the connections through it what a test says. */
export interface TcpProxy {
  readonly port: number
  /** The fault happens now; resolves when both kernels know of it. */
  strike(fault: Fault): Promise<void>
  /**
   * It happens when so many more bytes have passed in this direction; resolves when it has. One at a time. With
   * `notByHead` the connection of a HEAD doesn't count: `ess get` looks first.
   */
  arm(fault: Fault, direction: Direction, bytes: number, notByHead?: boolean): Promise<void>
  /**
   * No more than so many bytes pass in this direction, on all connections together, until the result is called. A sender
   * that is held has not sent its file yet, however much of it the kernels behind the proxy would take. One at a time.
   */
  hold(direction: Direction, bytes: number): () => void
  /** Resets what is still open, and listens no more. */
  close(): Promise<void>
}

/** Starts a proxy to a port of this machine, on `port` if that is said. The caller closes it. */
export async function startTcpProxy(serverPort: number, port = 0): Promise<TcpProxy> {
  const road = new Road()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (peer) => {
    const upstream = connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    road.add({ peer, upstream })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    // A server that listens on TCP has this kind of address.
    port: (server.address() as AddressInfo).port,
    strike: (fault) => within(DEADLINE_MS, `the fault ${fault.kind} strikes`, road.strike(fault)),
    arm: (fault, direction, bytes, notByHead) => road.arm(fault, direction, bytes, notByHead),
    hold: (direction, bytes) => road.hold(direction, bytes),
    close: async () => {
      road.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** One connection through the proxy. */
interface Link {
  readonly peer: Socket
  readonly upstream: Socket
}

/** The state that all connections of a proxy share: the fault, or the one that is to come. */
class Road {
  readonly #links = new Set<Link>()
  #trigger:
    | { fault: Fault; direction: Direction; bytes: number; notByHead: boolean; struck: () => void }
    | undefined
  #gate: { readonly direction: Direction; bytes: number; readonly opened: Promise<void> } | undefined
  #openGate: () => void = () => undefined
  /** The peers that ask by HEAD. */
  readonly #lookers = new WeakSet<Socket>()
  #isHole = false
  #isClosed = false
  /** Whose bytes are thrown away. */
  readonly #deaf = new WeakSet<Socket>()
  #flips = false
  #delayed: Promise<unknown> | undefined
  #bytesPerSecond = Number.POSITIVE_INFINITY
  readonly #singly: Record<Direction, number> = { up: 0, down: 0 }

  add(link: Link): void {
    this.#links.add(link)
    if (this.#isClosed) this.close()
    // How each ends is met where it is read; one that is not read any more may be reset all the same.
    link.peer.on('error', () => undefined)
    link.upstream.on('error', () => undefined)
    void this.#carry(link.peer, link.upstream, 'up')
    void this.#carry(link.upstream, link.peer, 'down')
  }

  arm(fault: Fault, direction: Direction, bytes: number, notByHead = false): Promise<void> {
    const { promise, resolve } = withResolvers<void>()
    this.#trigger = { fault, direction, bytes, notByHead, struck: resolve }
    return promise
  }

  hold(direction: Direction, bytes: number): () => void {
    const { promise, resolve } = withResolvers<void>()
    this.#gate = { direction, bytes, opened: promise }
    this.#openGate = () => {
      this.#gate = undefined
      resolve()
    }
    return this.#openGate
  }

  async strike(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case 'delay':
        this.#delayed = delay(fault.ms)
        break
      case 'throttle':
        this.#bytesPerSecond = fault.bytesPerSecond
        break
      case 'split':
        this.#singly.up = fault.bytes
        this.#singly.down = fault.bytes
        break
      case 'flip':
        this.#flips = true
        break
      case 'half-close':
        await this.#each(({ peer, upstream }) => {
          this.#deaf.add(peer)
          return ended(upstream)
        })
        break
      case 'fin':
        await this.#each(({ peer, upstream }) => {
          this.#deaf.add(peer).add(upstream)
          return Promise.all([ended(upstream), ended(peer)])
        })
        break
      case 'rst':
        await this.#each(({ peer, upstream }) => Promise.all([reset(peer), reset(upstream)]))
        break
      case 'black-hole':
        this.#isHole = true
        for (const { peer, upstream } of this.#links) {
          peer.pause()
          upstream.pause()
        }
        break
    }
  }

  close(): void {
    this.#isClosed = true
    this.#openGate()
    for (const { peer, upstream } of this.#links) {
      peer.resetAndDestroy()
      upstream.resetAndDestroy()
    }
    this.#links.clear()
  }

  async #each(act: (link: Link) => Promise<unknown>): Promise<void> {
    await Promise.all([...this.#links].map(act))
  }

  /** One direction of one connection, from its first byte to its end, whatever that is. */
  async #carry(from: Socket, to: Socket, direction: Direction): Promise<void> {
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        // A socket without an encoding gives buffers.
        await this.#pass(chunk as Buffer, from, to, direction)
      }
      if (!this.#isHole) to.end()
    } catch {
      // One side was reset: so is the other. Which of them it was doesn't show: a write may have met it.
      if (this.#isHole) return
      to.resetAndDestroy()
      from.resetAndDestroy()
    }
  }

  #triggerFor(from: Socket, direction: Direction) {
    const trigger = this.#trigger
    if (trigger?.direction !== direction || (trigger.notByHead && this.#lookers.has(from))) return undefined
    return trigger
  }

  async #pass(chunk: Buffer, from: Socket, to: Socket, direction: Direction): Promise<void> {
    if (direction === 'up' && chunk.subarray(0, 5).toString('latin1') === 'HEAD ') this.#lookers.add(from)
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#isHole) return await new Promise<never>(() => undefined)
      if (this.#deaf.has(from)) return
      await this.#delayed
      const gate = this.#gate?.direction === direction ? this.#gate : undefined
      if (gate?.bytes === 0) {
        await gate.opened
        continue
      }
      const trigger = this.#triggerFor(from, direction)
      const left = Math.min(rest.length, trigger?.bytes ?? rest.length, gate?.bytes ?? rest.length)
      const bytes = Math.min(this.#atOnce(direction), left)
      // Before the bytes are written, which takes a while: other connections pass the same gate.
      if (gate !== undefined) gate.bytes -= bytes
      if (bytes > 0) await written(to, this.#changed(rest.subarray(0, bytes), direction))
      rest = rest.subarray(bytes)
      await this.#pace(bytes, direction)
      if (trigger === undefined) continue
      trigger.bytes -= bytes
      if (trigger.bytes > 0) continue
      this.#trigger = undefined
      // libuv takes a reset that comes together with bytes for a mere end: they are read before it comes.
      await delay(READ_MS)
      await this.strike(trigger.fault)
      trigger.struck()
    }
  }

  /** The bytes, or the same with one changed bit. */
  #changed(bytes: Buffer, direction: Direction): Buffer {
    if (!this.#flips || direction === 'up') return bytes
    this.#flips = false
    const changed = Buffer.from(bytes)
    changed[0] = (changed[0] ?? 0) ^ 1
    return changed
  }

  /** How many bytes may go in one write. */
  #atOnce(direction: Direction): number {
    if (this.#singly[direction] > 0) return 1
    return Math.max(1, Math.floor((this.#bytesPerSecond * SLICE_MS) / 1000))
  }

  /** Lets the time pass that these bytes take. */
  async #pace(bytes: number, direction: Direction): Promise<void> {
    if (this.#singly[direction] > 0) {
      this.#singly[direction] -= bytes
      // So that each is read by itself.
      await delay(1)
    }
    if (Number.isFinite(this.#bytesPerSecond)) await delay((1000 * bytes) / this.#bytesPerSecond)
  }
}

/** A throttled connection is fed in portions of so many milliseconds' worth. */
const SLICE_MS = 20

/** What a peer on this machine needs to read a few bytes. */
const READ_MS = 10

/** Resolves when the kernel has the bytes; rejects when the connection is no more. */
function written(to: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    to.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

/** Resolves when the kernel has our FIN, or the connection is no more. */
function ended(connection: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (connection.destroyed) resolve()
    else connection.once('close', () => resolve()).end(() => resolve())
  })
}

function reset(connection: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (connection.destroyed) resolve()
    else connection.once('close', () => resolve()).resetAndDestroy()
  })
}
