import { EventEmitter } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onTestFinished } from 'vitest'
import type { RawPeer } from './raw-peer.js'
import { DEADLINE_MS, within } from './within.js'

/** A connection of HTTP/2 to a port of this machine. */
export interface Http2Connection {
  readonly session: ClientHttp2Session
  readonly carrier: Socket
}

/** Connects; everything is destroyed when the test is over. */
export async function connectSession(port: number): Promise<Http2Connection> {
  const carrier = connectTcp({ port, host: '127.0.0.1', noDelay: true })
  const session = connect(`https://localhost:${port}`, {
    createConnection: () => connectTls({ socket: carrier, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
  })
  // How it ends is seen by the streams.
  session.on('error', () => undefined)
  carrier.on('error', () => undefined)
  onTestFinished(() => {
    session.destroy()
    carrier.destroy()
  })
  const connected = new Promise<void>((resolve, reject) => {
    session.once('remoteSettings', () => resolve()).once('close', () => reject(new Error('it was closed')))
  })
  await within(DEADLINE_MS, `HTTP/2 to port ${port}`, connected)
  return { session, carrier }
}

/**
 * A raw peer whose HTTP/1.1 is put into HTTP/2 on its way, and back: the same test can look at both. One stream is its
 * whole connection. What breaks off is told as HTTP/1.1 would end it: a download by a reset, anything else by its
 * end without a last chunk.
 */
export async function connectHttp2(port: number, options: { paused?: boolean } = {}): Promise<RawPeer> {
  const { session, carrier } = await connectSession(port)
  const changes = new EventEmitter().setMaxListeners(0)
  const chunks: Buffer[] = []
  const text = () => Buffer.concat(chunks).toString('latin1')
  const add = (piece: string | Buffer) => {
    chunks.push(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)
    changes.emit('change')
  }
  let over: 'fin' | 'rst' | undefined
  const finish = (how: 'fin' | 'rst') => {
    over ??= how
    changes.emit('change')
  }
  let stream: ClientHttp2Stream | undefined
  let head = ''
  let frame: (bytes: Buffer) => void = () => undefined
  session.once('close', () => finish('rst'))

  function begin(): void {
    const [lines = ''] = head.split('\r\n\r\n')
    const [start = '', ...fields] = lines.split('\r\n')
    const [method, path] = start.split(' ')
    const headers: Record<string, string> = { ':method': method ?? '', ':path': path ?? '' }
    for (const field of fields) {
      const colon = field.indexOf(':')
      headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim()
    }
    const { host, connection: _connection, 'transfer-encoding': coding, ...rest } = headers
    if (host !== undefined) rest[':authority'] = host
    const length = Number(rest['content-length'] ?? 0)
    const opened = session.request(rest, { endStream: coding === undefined && length === 0 })
    stream = opened
    frame = coding === undefined ? counted(opened, length) : unchunked(opened)
    read(opened)
  }

  function read(from: ClientHttp2Stream): void {
    let isChunked = false
    let isDownload = false
    const onHead = (headers: IncomingHttpHeaders & { ':status'?: number }) => {
      const status = headers[':status'] ?? 0
      if (status < 200) {
        add(`HTTP/1.1 ${status} Continue\r\n\r\n`)
        return
      }
      isDownload = headers.etag !== undefined
      isChunked = headers['content-length'] === undefined && status !== 204
      const lines = Object.entries(headers)
        .filter(([name]) => !name.startsWith(':'))
        .map(([name, value]) => `${titled(name)}: ${value}\r\n`)
      const coding = isChunked ? 'transfer-encoding: chunked\r\n' : ''
      add(`HTTP/1.1 ${status} Status\r\n${lines.join('')}${coding}connection: close\r\n\r\n`)
    }
    from
      .on('headers', onHead)
      .on('response', onHead)
      .on('data', (bytes: Buffer) => {
        if (!isChunked) add(bytes)
        else for (const line of linesOf(bytes)) add(`${line.length.toString(16)}\r\n${line}\r\n`)
      })
      .once('end', () => {
        // It comes as well where the other side has reset the stream.
        if (from.rstCode !== constants.NGHTTP2_NO_ERROR || from.aborted) return
        if (isChunked) add('0\r\n\r\n')
        finish('fin')
      })
      .on('error', () => undefined)
      .once('close', () =>
        finish(isDownload || from.rstCode !== constants.NGHTTP2_INTERNAL_ERROR ? 'rst' : 'fin'),
      )
    if (options.paused) from.pause()
  }

  function match(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(text())
        if (found !== null) resolve(found)
        else if (over !== undefined) reject(new Error(`the stream ended (${over}) before ${pattern} came`))
        else return
        changes.off('change', look)
      }
      changes.on('change', look)
      look()
    })
  }

  return {
    text,
    write: async (data) => {
      const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data)
      if (stream !== undefined) {
        frame(bytes)
        return
      }
      head += bytes.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      begin()
      frame(Buffer.from(head.slice(end + 4), 'latin1'))
    },
    until: (pattern, ms = DEADLINE_MS) =>
      within(ms, `the peer by HTTP/2 reads ${pattern}`, match(pattern)).catch((error: unknown) => {
        throw new Error(
          `${error instanceof Error ? error.message : error}; it has read ${text().slice(0, 2000)}`,
        )
      }),
    pause: () => void stream?.pause(),
    resume: () => void stream?.resume(),
    end: () => session.close(),
    reset: () => void carrier.resetAndDestroy(),
    ending: (ms = DEADLINE_MS) => {
      stream?.resume()
      const ended = new Promise<'fin' | 'rst'>((resolve) => {
        const look = () => {
          if (over !== undefined) resolve(over)
        }
        changes.on('change', look)
        look()
      })
      return within(ms, 'the stream of the peer by HTTP/2 ends', ended)
    },
  }
}

/** As the status stream's lines are written: each is a chunk of its own. */
function linesOf(bytes: Buffer): string[] {
  return bytes.toString('latin1').match(/[^\n]*\n|[^\n]+$/g) ?? []
}

/** As HTTP/1.1 writes a name: `Content-Type`. */
function titled(name: string): string {
  return name === 'etag' ? 'ETag' : name.replace(/(?:^|-)[a-z]/g, (letter) => letter.toUpperCase())
}

/** A body of known length. */
function counted(stream: ClientHttp2Stream, length: number): (bytes: Buffer) => void {
  let left = length
  return (bytes) => {
    if (left === 0 || bytes.length === 0) return
    left -= bytes.length
    if (left <= 0) stream.end(bytes)
    else stream.write(bytes)
  }
}

/** A chunked body, without its framing; what is no framing is an error of the protocol in HTTP/2. */
function unchunked(stream: ClientHttp2Stream): (bytes: Buffer) => void {
  let held = ''
  return (bytes) => {
    held += bytes.toString('latin1')
    for (;;) {
      if (held === '') return
      const [line = '', size] = /^([0-9a-f]+)\r\n/i.exec(held) ?? []
      if (size === undefined) {
        if (/^[0-9a-f]*\r?$/i.test(held)) return
        stream.close(constants.NGHTTP2_PROTOCOL_ERROR)
        return
      }
      const end = line.length + Number.parseInt(size, 16)
      if (held.length < end + 2) return
      if (end === line.length) {
        stream.end()
        return
      }
      stream.write(Buffer.from(held.slice(line.length, end), 'latin1'))
      held = held.slice(end + 2)
    }
  }
}
