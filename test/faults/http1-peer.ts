import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext } from 'node:tls'
import { DEADLINE_MS, within } from '../helpers/within.js'
import { Gathered } from './gathered.js'
import type { Answer, Mark, OutgoingFile, Peer, RequestHead } from './peer.js'

const END_OF_HEAD = '\r\n\r\n'

/** To make one for each connection would cost more than all the rest of the connection. */
const secureContext = createSecureContext()

/** A peer that speaks HTTP/1.1 over plain TCP, or over TLS. */
export async function connectHttp1(port: number, isTls = false): Promise<Peer> {
  const carrier = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  await within(DEADLINE_MS, `connecting to port ${port}`, once(carrier, 'connect'))
  if (!isTls) return new Http1Peer(carrier, carrier)
  const socket = connectTls({
    socket: carrier,
    secureContext,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  await within(DEADLINE_MS, `TLS to port ${port}`, once(socket, 'secureConnect'))
  return new Http1Peer(socket, carrier)
}

class Http1Peer implements Peer {
  /** docs/protocol.md, chapter 4: the half-close without a last chunk. */
  readonly brokenBy = 'fin'
  readonly #socket: Socket
  readonly #carrier: Socket
  readonly #read = new Gathered()
  /** What is still to be sent. */
  readonly #marks: Mark[] = ['midway', 'last', 'end']
  #file: OutgoingFile | undefined
  #isHead = false
  #ended: 'fin' | 'rst' | undefined

  /** `carrier` is the TCP below. */
  constructor(socket: Socket, carrier: Socket) {
    this.#socket = socket
    this.#carrier = carrier
    socket.on('data', (chunk: Buffer) => this.#read.push(chunk))
    socket.once('end', () => {
      this.#ended ??= 'fin'
    })
    socket.on('error', () => {
      this.#ended ??= 'rst'
    })
  }

  request({ method, path, headers, file }: RequestHead): void {
    this.#file = file
    this.#isHead = method === 'HEAD'
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
    return parse(this.#read.bytes(), this.#isHead)
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
  if (secondHalf.length === 0) return { midway: chunkOf(firstHalf), last: ['0\r\n\r'], end: ['\n'] }
  const [first = '', ...size] = secondHalf.length.toString(16)
  return {
    midway: [...chunkOf(firstHalf), first],
    last: [`${size.join('')}\r\n`, secondHalf, '\r\n0\r\n\r'],
    end: ['\n'],
  }
}

/** An empty chunk would be the last one. */
function chunkOf(bytes: Buffer): (Buffer | string)[] {
  return bytes.length === 0 ? [] : [`${bytes.length.toString(16)}\r\n`, bytes, '\r\n']
}

function parse(bytes: Buffer, isHead: boolean): Answer | undefined {
  const endOfHead = bytes.indexOf(END_OF_HEAD)
  if (endOfHead < 0) return undefined
  const head = bytes.toString('latin1', 0, endOfHead)
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
  const fields = [...head.matchAll(/\r\n([^:]+): *([^\r]*)/g)]
  const headers = Object.fromEntries(fields.map(([, name = '', value = '']) => [name.toLowerCase(), value]))
  const raw = bytes.subarray(endOfHead + END_OF_HEAD.length)
  if (isHead || status === 204) return { status, headers, body: raw, isComplete: raw.length === 0 }
  if (headers['transfer-encoding'] === 'chunked') return new ChunkedAnswer(status, headers, raw)
  const length = Number(headers['content-length'])
  return { status, headers, body: raw.subarray(0, length), isComplete: raw.length === length }
}

/** An answer in chunks, as far as they are there; the last of them perhaps in part. */
class ChunkedAnswer implements Answer {
  readonly status: number
  readonly headers: Answer['headers']
  readonly #chunks: Buffer[] = []
  readonly isComplete: boolean

  constructor(status: number, headers: Answer['headers'], bytes: Buffer) {
    this.status = status
    this.headers = headers
    let at = 0
    let isComplete = false
    for (;;) {
      const endOfLine = bytes.indexOf('\r\n', at)
      if (endOfLine < 0) break
      const size = Number.parseInt(bytes.toString('latin1', at, endOfLine), 16)
      const begin = endOfLine + 2
      isComplete = size === 0 && bytes.toString('latin1', begin) === '\r\n'
      if (size === 0) break
      this.#chunks.push(bytes.subarray(begin, begin + size))
      at = begin + size + 2
    }
    this.isComplete = isComplete
  }

  /** Only a body that is looked at is put together. */
  get body(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}
