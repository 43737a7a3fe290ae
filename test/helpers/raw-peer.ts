import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onTestFinished } from 'vitest'
import { connectHttp2 } from './http2-peer.js'
import { recordSecretsIn } from './suite-logs.js'
import { DEADLINE_MS, within } from './within.js'

/** A peer that does on the wire exactly what a test says, which no HTTP library would. */
export interface RawPeer {
  /** Writes text (a character a byte) or bytes; resolves when they are handed to the kernel. */
  write(data: string | Uint8Array, ms?: number): Promise<void>
  /** All that was read so far, a character a byte. */
  text(): string
  /** Waits until what was read matches; rejects when the connection ends before that, or after `ms`. */
  until(pattern: RegExp, ms?: number): Promise<RegExpExecArray>
  /** Stops reading: what comes stays in the kernel's buffers. */
  pause(): void
  /** Reads on. */
  resume(): void
  /** Says that no more will be written (FIN); reading goes on. */
  end(): void
  /** Ends both directions at once (RST). */
  reset(): void
  /** Reads to the end and tells how the other side ended it: in good order, or by a reset. */
  ending(ms?: number): Promise<'fin' | 'rst'>
}

/** Ports of this machine behind which there is TLS, and what is spoken there. */
const tlsPorts = new Map<number, 'http/1.1' | 'h2'>()

/** Until the test is over, raw peers that connect to `port` speak TLS, and in it what is said here. */
export function speakTls(port: number, protocol: 'http/1.1' | 'h2' = 'http/1.1'): void {
  tlsPorts.set(port, protocol)
  onTestFinished(() => void tlsPorts.delete(port))
}

/** The ports of the nodes that one port stands for, the next one first. */
const nodes = new Map<number, number[]>()

/** Until the test is over, raw peers that connect to the first of these ports go to each of them in turn. */
export function takeTurns(ports: readonly number[]): void {
  const [first = 0] = ports
  nodes.set(first, [...ports])
  onTestFinished(() => void nodes.delete(first))
}

function inTurn(port: number): number {
  const ports = nodes.get(port) ?? []
  const next = ports.shift() ?? port
  ports.push(next)
  return next
}

/**
 * Connects to a port of this machine, from the address `from` where that is said: any of 127.0.0.0/8, on Linux. The
 * connection is reset when the test is over.
 */
export async function connectRaw(
  asked: number,
  options: { paused?: boolean; from?: string } = {},
): Promise<RawPeer> {
  const port = inTurn(asked)
  if (tlsPorts.get(port) === 'h2') return await connectHttp2(port, options)
  const from = options.from === undefined ? {} : { localAddress: options.from }
  const carrier = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true, ...from })
  const isTls = tlsPorts.has(port)
  // Whose certificate it is, is the matter of other tests.
  const socket = isTls ? connectTls({ socket: carrier, rejectUnauthorized: false }) : carrier
  // Before it is connected: a socket that was never paused has read its first bytes by then.
  if (options.paused) socket.pause()
  const chunks: Buffer[] = []
  /** The beginning of what the test wrote. */
  let written = ''
  const text = () => Buffer.concat(chunks).toString('latin1')
  const ending = new Promise<'fin' | 'rst'>((resolve) => {
    socket.once('end', () => resolve('fin'))
    // ECONNRESET from a read, EPIPE from a write after it: either way the other side has dropped us.
    socket.once('error', () => resolve('rst'))
    socket.once('close', () => resolve('rst'))
  })
  onTestFinished(() => {
    socket.destroy()
    // The heads, and the first events; what comes after is a file.
    recordSecretsIn(`${written}\n${text().slice(0, 64 * 1024)}`)
  })
  await within(DEADLINE_MS, `connecting to port ${port}`, once(socket, isTls ? 'secureConnect' : 'connect'))
  const onData = (chunk: Buffer) => void chunks.push(chunk)
  // This does not resume a socket that was paused.
  socket.on('data', onData)

  return {
    text,
    write: (data, ms = DEADLINE_MS) =>
      within(
        ms,
        'the kernel takes what the raw peer writes',
        new Promise((resolve, reject) => {
          const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data
          if (written.length < 16 * 1024)
            written += Buffer.from(bytes.subarray(0, 16 * 1024)).toString('latin1')
          socket.write(bytes, (error) => (error ? reject(error) : resolve()))
        }),
      ),
    until: (pattern, ms = DEADLINE_MS) =>
      within(ms, `the raw peer reads ${pattern}`, match(socket, pattern, text, ending)).catch(
        (error: unknown) => {
          throw new Error(
            `${error instanceof Error ? error.message : error}; it has read ${text().slice(0, 2000)}`,
          )
        },
      ),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    reset: () => void carrier.resetAndDestroy(),
    ending: (ms = DEADLINE_MS) => {
      socket.resume()
      return within(ms, 'the connection of the raw peer ends', ending)
    },
  }
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => void socket.once(event, () => resolve()).once('error', reject))
}

function match(
  socket: Socket,
  pattern: RegExp,
  text: () => string,
  ending: Promise<'fin' | 'rst'>,
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const found = pattern.exec(text())
      if (found === null) return
      socket.off('data', look)
      resolve(found)
    }
    socket.on('data', look)
    look()
    ending.then((how) => {
      look()
      reject(new Error(`the connection ended (${how}) before ${pattern} came`))
    }, reject)
  })
}
