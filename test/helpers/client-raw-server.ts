import { createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { DEADLINE_MS, within } from './within.js'

/** The server's end of one connection; it says exactly what a test writes. */
export interface RawConnection {
  /** All that was read so far, a character a byte. */
  text(): string
  /** Waits until what was read matches. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  write(data: string | Uint8Array): void
  /** FIN; reading goes on. */
  end(data?: string): void
  /** RST. */
  reset(): void
  /** Reads no more: what comes stays in the kernel's buffers. */
  pause(): void
  /** How the client ended it; undefined while it has not. */
  ended(): 'fin' | 'rst' | undefined
  ending(): Promise<'fin' | 'rst'>
}

export interface RawServer {
  /** Without a final slash. */
  readonly url: string
  readonly port: number
  /** The next connection, in the order in which they came. */
  accept(): Promise<RawConnection>
  /** How many connections there were. */
  connections(): number
}

/** A TCP server on a free port that answers nothing by itself; closed when the test is over. */
export async function rawServer(): Promise<RawServer> {
  const waiting: RawConnection[] = []
  let count = 0
  let wake = () => {}
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    count++
    sockets.add(socket)
    waiting.push(connectionOf(socket))
    wake()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  async function next(): Promise<RawConnection> {
    for (;;) {
      const connection = waiting.shift()
      if (connection !== undefined) return connection
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    connections: () => count,
    accept: () => within(DEADLINE_MS, 'the client connects to the raw server', next()),
  }
}

function connectionOf(socket: Socket): RawConnection {
  const chunks: Buffer[] = []
  const text = () => Buffer.concat(chunks).toString('latin1')
  let how: 'fin' | 'rst' | undefined
  const ending = new Promise<'fin' | 'rst'>((resolve) => {
    const end = (kind: 'fin' | 'rst') => {
      how ??= kind
      resolve(how)
    }
    socket.once('end', () => end('fin'))
    socket.on('error', () => end('rst'))
    socket.once('close', () => end('rst'))
  })
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
  return {
    text,
    until: (pattern) =>
      within(
        DEADLINE_MS,
        `the raw server reads ${pattern}`,
        new Promise((resolve, reject) => {
          const look = () => {
            const found = pattern.exec(text())
            if (found !== null) resolve(found)
          }
          socket.on('data', look)
          look()
          ending.then((kind) => reject(new Error(`${kind} before ${pattern}, after ${text()}`)), reject)
        }),
      ),
    write: (data) => void socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data),
    end: (data = '') => void socket.end(Buffer.from(data, 'latin1')),
    reset: () => void socket.resetAndDestroy(),
    pause: () => void socket.pause(),
    ended: () => how,
    ending: () => within(DEADLINE_MS, 'the client ends its connection', ending),
  }
}
