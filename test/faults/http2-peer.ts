import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext } from 'node:tls'
import { DEADLINE_MS, within } from '../helpers/within.js'
import { Gathered } from './gathered.js'
import type { Answer, Mark, OutgoingFile, Peer, RequestHead } from './peer.js'

/** To make one for each connection would cost more than all the rest of the connection. */
const secureContext = createSecureContext()

/** A peer that speaks HTTP/2 over TLS, with one request on its connection. */
export async function connectHttp2(port: number): Promise<Peer> {
  const carrier = connectTcp({ port, host: '127.0.0.1', noDelay: true })
  // How it ends is seen by the stream.
  carrier.on('error', () => undefined)
  const session = connect(`https://localhost:${port}`, {
    // In MB. What is written and not sent yet counts as well, and with too much of it Node refuses every answer.
    maxSessionMemory: 512,
    createConnection: () =>
      connectTls({ socket: carrier, secureContext, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
  })
  session.on('error', () => undefined)
  const connected = new Promise<void>((resolve, reject) => {
    session.once('remoteSettings', () => resolve()).once('close', () => reject(new Error('it was closed')))
  })
  await within(DEADLINE_MS, `HTTP/2 to port ${port}`, connected)
  return new Http2Peer(session, carrier)
}

class Http2Peer implements Peer {
  /** RFC 9113, 8.1: a response without its end is a stream that was reset. */
  readonly brokenBy = 'rst'
  readonly #session: ClientHttp2Session
  readonly #carrier: Socket
  readonly #body = new Gathered()
  /** What is still to be sent. */
  readonly #marks: Mark[] = ['midway', 'last', 'end']
  #file: OutgoingFile | undefined
  #stream: ClientHttp2Stream | undefined
  #status: number | undefined
  #headers: Readonly<Record<string, string>> = {}
  #isComplete = false
  #ended: 'fin' | 'rst' | undefined

  constructor(session: ClientHttp2Session, carrier: Socket) {
    this.#session = session
    this.#carrier = carrier
    // Where the request never came to be.
    session.once('close', () => {
      this.#ended ??= 'rst'
    })
  }

  request({ method, path, headers, file }: RequestHead): void {
    this.#file = file
    const length = file?.isDeclared
      ? { 'content-length': file.firstHalf.length + file.secondHalf.length }
      : {}
    const stream = this.#session.request(
      { ':method': method, ':path': path, ...length, ...headers },
      { endStream: file === undefined },
    )
    this.#stream = stream
    stream
      .on('response', ({ ':status': status, ...fields }) => {
        this.#status = status
        this.#headers = Object.fromEntries(
          Object.entries(fields).map(([name, value]) => [name, String(value)]),
        )
      })
      .on('data', (chunk: Buffer) => this.#body.push(chunk))
      .on('error', () => undefined)
      .once('end', () => {
        // Node says so as well where the stream or the whole connection was cut off.
        this.#isComplete =
          stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted && !stream.destroyed
      })
      .once('close', () => {
        this.#ended ??= this.#isComplete ? 'fin' : 'rst'
      })
  }

  sendTo(mark: Mark): void {
    if (this.#file === undefined || this.#stream === undefined || this.#stream.destroyed) return
    const { firstHalf, secondHalf, isDeclared } = this.#file
    const stream = this.#stream
    const steps: Record<Mark, () => void> = {
      midway: () => stream.write(firstHalf),
      last: () => stream.write(isDeclared ? secondHalf.subarray(0, -1) : secondHalf),
      end: () => stream.end(isDeclared ? secondHalf.subarray(-1) : undefined),
    }
    for (const next of this.#marks.splice(0, this.#marks.indexOf(mark) + 1)) steps[next]()
  }

  answer(): Answer | undefined {
    if (this.#status === undefined) return undefined
    return {
      status: this.#status,
      headers: this.#headers,
      body: this.#body.bytes(),
      isComplete: this.#isComplete,
    }
  }

  ended(): 'fin' | 'rst' | undefined {
    return this.#ended
  }

  close(): void {
    this.#session.close()
  }

  destroy(): void {
    this.#session.destroy()
    this.#carrier.destroy()
  }
}
