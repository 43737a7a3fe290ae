import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as TlsAgent } from 'node:https'
import type { Socket } from 'node:net'
import { EssError } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { type Connection, connectTo } from './connect.js'
import { splitCredentials } from './credentials.js'
import type { Reply } from './exchange.js'
import { translate } from './wire-errors.js'

/** What one request on a line brings. */
export interface LineRequest {
  readonly method: 'PATCH'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Reading stops when an answer is there. A block may be written into again when the next one is asked for. */
  readonly body: AsyncIterable<Uint8Array>
}

/** A response on a line. */
export interface LineAnswer extends Reply {
  readonly head: IncomingMessage
}

/**
 * One connection to a server that carries one request after another. Another one is made when the server ends it
 * between two requests.
 */
export class Line {
  readonly #agent: Agent
  readonly #signal: AbortSignal | undefined
  readonly #connecting = new AbortController()
  #connection: Connection | undefined
  #fail: ((reason: EssError) => void) | undefined
  #failure: EssError | undefined
  readonly #onAbort = () =>
    this.#break(new EssError('interrupted', 'Interrupted before the transfer was complete.'))

  constructor(url: URL, signal: AbortSignal | undefined) {
    const options = { keepAlive: true, maxSockets: 1 }
    this.#agent = url.protocol === 'https:' ? new TlsAgent(options) : new Agent(options)
    // Node also takes the connection from the callback, which the types leave out.
    Object.assign(this.#agent, {
      createConnection: (_options: unknown, onCreated: (error: unknown, socket?: Socket) => void) => {
        connectTo(url, this.#connecting.signal).then((connection) => {
          this.#connection = connection
          onCreated(null, connection.socket)
        }, onCreated)
      },
    })
    this.#signal = signal
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /**
   * Sends a request, and waits for the head of its response. Rejects with an EssError if none comes, or with what the
   * body throws; the request is then broken off, and can't pass for a whole one. One at a time.
   */
  async ask({ method, url, headers, body }: LineRequest): Promise<LineAnswer> {
    if (this.#failure !== undefined) throw this.#failure
    const { bare, authorization } = splitCredentials(url)
    const request = (bare.protocol === 'https:' ? requestHttps : requestHttp)(bare, {
      method,
      agent: this.#agent,
      headers: { 'user-agent': `ess/${VERSION}`, ...authorization, ...headers },
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      let isConnected = false
      this.#fail = reject
      request.once('socket', () => {
        isConnected = true
      })
      request.once('response', resolve)
      request.on('error', (error) => reject(translate(error, url, isConnected ? 'unanswered' : 'connecting')))
      request.once('close', () => reject(translate(new Error('closed'), url, 'unanswered')))
    })
    // The body's own failure may come first.
    answered.catch(() => {})
    const over = new AbortController()
    void answered.then(
      () => over.abort(),
      () => over.abort(),
    )
    // A proxy, or a server that refuses, has to see the head before the body begins.
    request.flushHeaders()
    try {
      const writing = writeBody(request, body, over.signal)
      // With an answer there, the rest of the body doesn't matter.
      writing.catch(() => {})
      await Promise.race([answered, writing])
      const head = await answered
      return {
        head,
        body: head,
        failure: undefined,
        reset: () => request.destroy(),
      }
    } catch (error) {
      request.destroy()
      throw error
    } finally {
      this.#fail = undefined
    }
  }

  /** Ends with an RST, which can't be taken for a good ending. */
  reset(): void {
    const { socket, tcp } = this.#connection ?? {}
    // libuv refuses a reset while a FIN is on its way, and would then never close the socket.
    const mayReset = socket?.writable === true && tcp?.writable === true && !('encrypted' in tcp)
    // Only TCP can be reset. With TLS, that is the socket below; inside a TLS proxy, we can't reach it.
    if (mayReset) tcp.resetAndDestroy()
    this.close()
  }

  /** Ends the connection. A request that is under way is broken off. */
  close(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#connecting.abort()
    this.#agent.destroy()
  }

  #break(reason: EssError): void {
    this.#failure = reason
    this.#fail?.(reason)
    this.reset()
  }
}

/** Writes a body at the pace of the connection, until `over` is aborted. */
async function writeBody(
  request: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  over: AbortSignal,
): Promise<void> {
  for await (const block of body) {
    if (over.aborted) return
    await new Promise<void>((resolve) => {
      const done = () => {
        over.removeEventListener('abort', done)
        resolve()
      }
      over.addEventListener('abort', done, { once: true })
      request.write(block, done)
    })
    if (over.aborted) return
  }
  request.end()
}
