import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type EssError, fromProblem, PROBLEM_MEDIA_TYPE } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { type Connection, connectTo } from '../http/connect.js'
import { codeOf } from '../node/errno-words.js'
import { resetConnection } from '../node/reset.js'
import { Bell } from './bell.js'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'

/** How long a refusal's few bytes may take. */
const REFUSAL_MS = 1_500

/**
 * One request, looked at piece by piece: when its answer begins, what of it has come, and how it ended. Nothing is
 * retried, followed or unpacked.
 */
export class Asked {
  /** Rings at whatever happens. */
  readonly bell: Bell
  /** The answer's head, once it is here. */
  head: IncomingMessage | undefined
  /** What has come of the answer's body, a character a byte. */
  text = ''
  /** How the answer ended. A `cut` one broke off, or never began. */
  end: 'whole' | 'cut' | undefined
  /** The code of the error that cut it off, such as `ECONNRESET`; empty for none. */
  failure = ''
  /** Called with the head when it comes. */
  onHead: (head: IncomingMessage) => void = () => {}
  readonly #request: ClientRequest
  readonly #connection: Connection

  constructor(request: ClientRequest, connection: Connection, bell: Bell) {
    this.bell = bell
    this.#request = request
    this.#connection = connection
    request.on('response', (head) => this.#take(head))
    // An upgrade is no answer of ours.
    request.on('upgrade', () => this.reset())
    request.on('error', (error) => {
      this.failure = codeOf(error)
      this.#finish('cut')
    })
    request.on('close', () => this.head ?? this.#finish('cut'))
  }

  /** Sends a piece of the body. */
  write(piece: string): void {
    this.#request.write(piece)
  }

  /** Sends the end of the body. */
  finish(piece = ''): void {
    this.#request.end(piece)
  }

  /** Resets the connection: whatever was under way is over. */
  reset(): void {
    // libuv refuses a reset while a FIN is on its way, and would then never close the socket.
    const { socket, tcp } = this.#connection
    // Only TCP can be reset; inside the TLS of a proxy, it is out of reach.
    const isResettable =
      !tcp.destroyed && !tcp.writableEnded && !socket.writableEnded && !('encrypted' in tcp)
    if (isResettable) resetConnection(socket, tcp)
    this.#request.destroy()
    tcp.destroy()
  }

  /** Waits until `look` gives something; undefined if that takes longer than `ms`. */
  until<T>(look: () => T | undefined | false, ms: number): Promise<T | undefined> {
    return this.bell.until(look, ms)
  }

  /** Waits for the answer's head; undefined if none comes in time. */
  async answer(ms: number): Promise<IncomingMessage | undefined> {
    await this.until(() => this.head !== undefined || this.end !== undefined, ms)
    return this.head
  }

  /** The problem of ESS that the answer is; undefined if it is something else. */
  async refusal(): Promise<EssError | undefined> {
    if (!(this.head?.headers['content-type'] ?? '').startsWith(PROBLEM_MEDIA_TYPE)) return undefined
    return await this.until(() => fromProblem(parseJson(this.text), 'bad-request'), REFUSAL_MS)
  }

  #take(head: IncomingMessage): void {
    this.head = head
    this.onHead(head)
    head.setEncoding('latin1')
    head.on('data', (piece: string) => {
      this.text += piece
      this.bell.ring()
    })
    head.on('end', () => this.#finish(head.complete ? 'whole' : 'cut'))
    head.on('error', () => this.#finish('cut'))
    head.on('close', () => this.#finish('cut'))
    this.bell.ring()
  }

  #finish(end: 'whole' | 'cut'): void {
    this.end ??= end
    this.bell.ring()
  }
}

/** Begins a request; its body, if it has one, is still to come. Rejects with an EssError if there is no connection. */
export async function ask(
  method: Method,
  url: URL,
  headers: Readonly<Record<string, string>>,
  { signal, bell = new Bell() }: { readonly signal: AbortSignal; readonly bell?: Bell | undefined },
): Promise<Asked> {
  const connection = await connectTo(url, signal)
  const { socket } = connection
  const asking = request({
    method,
    path: url.pathname + url.search,
    headers: { host: url.host, 'user-agent': `ess/${VERSION}`, ...headers },
    createConnection: () => socket,
  })
  const asked = new Asked(asking, connection, bell)
  const onAbort = () => asked.reset()
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', onAbort))
  // An Expect of 100-continue lets the head leave alone; here each head does.
  if (method === 'POST' || method === 'PUT') asking.flushHeaders()
  else asking.end()
  return asked
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not all of it is here yet, or it is no JSON: then it is no problem.
    return undefined
  }
}
