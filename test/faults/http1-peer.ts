import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { DEADLINE_MS, within } from '../helpers/within.js'
import type { Answer, Mark, OutgoingFile, Peer, RequestHead } from './peer.js'

const END_OF_HEAD = '\r\n\r\n'

/** A peer that speaks HTTP/1.1 over plain TCP, or over TLS. */
export async function connectHttp1(port: number, isTls = false): Promise<Peer> {
  const carrier = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  await within(DEADLINE_MS, `connecting to port ${port}`, once(carrier, 'connect'))
  if (!isTls) return new Http1Peer(carrier, carrier)
  const socket = connectTls({ socket: carrier, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  await within(DEADLINE_MS, `TLS to port ${port}`, once(socket, 'secureConnect'))
  return new Http1Peer(socket, carrier)
}

class Http1Peer implements Peer {
  /** docs/protocol.md, chapter 4: the half-close without a last chunk. */
  readonly brokenBy = 'fin'
  readonly #socket: Socket
  readonly #carrier: Socket
  readonly #chunks: Buffer[] = []
  /** What is still to be sent. */
  readonly #marks: Mark[] = ['midway', 'last', 'end']
  #file: OutgoingFile | undefined
  #ended: 'fin' | 'rst' | undefined

  /** `carrier` is the TCP below. */
  constructor(socket: Socket, carrier: Socket) {
    this.#socket = socket
    this.#carrier = carrier
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    socket.once('end', () => {
      this.#ended ??= 'fin'
    })
    socket.on('error', () => {
      this.#ended ??= 'rst'
    })
  }

  request({ method, path, headers, file }: RequestHead): void {
    this.#file = file
    const framing = file === undefined ? {} : framingOf(file)
    const lines = Object.entries({ Host: 'localhost', Connection: 'close', ...framing, ...headers })
    const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${fields}\r\n`)
  }

  sendTo(mark: Mark): void {
    if (this.#file === undefined || this.#socket.destroyed) return
    const parts = partsOf(this.#file)
    for (const next of this.#marks.splice(0, this.#marks.indexOf(mark) + 1)) {
      for (const bytes of parts[next]) this.#socket.write(bytes)
    }
  }

  answer(): Answer | undefined {
    return parse(Buffer.concat(this.#chunks))
  }

  ended(): 'fin' | 'rst' | undefined {
    return this.#ended
  }

  close(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#carrier.resetAndDestroy()
    this.#socket.destroy()
  }
}

function framingOf({ firstHalf, secondHalf, isDeclared }: OutgoingFile): Record<string, string> {
  return isDeclared
    ? { 'Content-Length': String(firstHalf.length + secondHalf.length) }
    : { 'Transfer-Encoding': 'chunked' }
}

/** What is to be written for each mark. Midway, a chunked body stands in the middle of the head of a chunk. */
function partsOf({ firstHalf, secondHalf, isDeclared }: OutgoingFile): Record<Mark, (Buffer | string)[]> {
  if (isDeclared) {
    return { midway: [firstHalf], last: [secondHalf.subarray(0, -1)], end: [secondHalf.subarray(-1)] }
  }
  const [first = '', ...size] = secondHalf.length.toString(16)
  return {
    midway: [`${firstHalf.length.toString(16)}\r\n`, firstHalf, `\r\n${first}`],
    last: [`${size.join('')}\r\n`, secondHalf, '\r\n0\r\n\r'],
    end: ['\n'],
  }
}

function parse(bytes: Buffer): Answer | undefined {
  const endOfHead = bytes.indexOf(END_OF_HEAD)
  if (endOfHead < 0) return undefined
  const head = bytes.toString('latin1', 0, endOfHead)
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
  const raw = bytes.subarray(endOfHead + END_OF_HEAD.length)
  if (/\r\ntransfer-encoding: chunked(?:\r\n|$)/i.test(head)) return { status, ...unchunk(raw) }
  const length = Number(/\r\ncontent-length: (\d+)(?:\r\n|$)/i.exec(head)?.[1])
  return { status, body: raw.subarray(0, length), isComplete: raw.length === length }
}

/** The chunks that are there, the last of them perhaps in part. */
function unchunk(bytes: Buffer): Pick<Answer, 'body' | 'isComplete'> {
  const body: Buffer[] = []
  let at = 0
  for (;;) {
    const endOfLine = bytes.indexOf('\r\n', at)
    if (endOfLine < 0) break
    const size = Number.parseInt(bytes.toString('latin1', at, endOfLine), 16)
    const begin = endOfLine + 2
    if (size === 0) {
      const isComplete = bytes.toString('latin1', begin) === '\r\n'
      return { body: Buffer.concat(body), isComplete }
    }
    body.push(bytes.subarray(begin, begin + size))
    at = begin + size + 2
  }
  return { body: Buffer.concat(body), isComplete: false }
}
