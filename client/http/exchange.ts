import type { ClientRequestArgs, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import got, { type OptionsInit, RequestError } from 'got'
import { EssError } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import { watchForCut, watchForSurplus } from '../node/answer-end.js'
import { codeOf } from '../node/errno-words.js'
import { HeldConnection } from '../node/held-connection.js'
import { CutError, Intake } from '../node/intake.js'
import type { TwoBlocks } from '../node/two-blocks.js'
import { type Connection, connectTo } from './connect.js'
import { basicCredentials } from './credentials.js'
import { translate } from './wire-errors.js'

/** How long an answer that was read may keep its connection open before we stop looking at it. */
const LAST_WORD_MS = 1_000

/** One request, its answer, and the end of its connection. */
export interface Exchange {
  /** The answer's head. Rejects with an EssError when there will be none. */
  readonly head: Promise<IncomingMessage>
  /** The answer's body; it fails when the connection does, and when it is cut short. */
  readonly body: Readable
  /**
   * The body in large blocks, instead of `body`, where it comes straight from the connection: a download of
   * known size over plain TCP, more of which is still to come. `onBytes` is told how many bytes came so far.
   */
  blocks(onBytes: (bytes: number) => void): TwoBlocks | undefined
  /** Why the exchange broke, once it did; also when that was after the body's end. */
  readonly failure: EssError | undefined
  /** Waits until the server has nothing more to say on this connection, for at most a second. */
  lastWord(): Promise<void>
  /** Breaks the exchange: the server sees a reset, `head` and `body` fail. The first reason counts. */
  fail(reason: EssError): void
  /** Drops it: the server sees a reset. Without effect on an exchange that is over. */
  reset(): void
  /** From here an interruption comes too late: what follows is done in one go. */
  ignoreAbort(): void
  /** Ends the connection in good order. */
  close(): void
}

export interface ExchangeOptions {
  readonly headers: Readonly<Record<string, string>>
  /** It must not throw: whoever makes the bytes calls `fail` first. */
  readonly body?: AsyncGenerator<Uint8Array>
  /** True where the answer's body is read by `blocks` if it can be. Default: false. */
  readonly isDownload?: boolean
  /** Aborting it fails the exchange with `interrupted`. */
  readonly signal?: AbortSignal | undefined
}

type CreateConnection = NonNullable<ClientRequestArgs['createConnection']>

/** Sends one request, straight or through the environment's proxy. Nothing is retried, followed or unpacked. */
export function exchange(
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE',
  url: URL,
  options: ExchangeOptions,
): Exchange {
  const connection = new HeldConnection()
  const intake = options.isDownload ? new Intake(connection, onSurplus) : undefined
  let failure: EssError | undefined
  let answer: IncomingMessage | undefined
  let isConnected = false
  let wire: Socket | undefined
  const head = withResolvers<IncomingMessage>()
  // Reading the body fails in the same way, and not every caller awaits the head.
  head.promise.catch(() => {})

  const connecting = new AbortController()
  // Node takes a connection by the callback too, which got's types leave out.
  const connectLater = ((_options, onCreated) => {
    connect().then(
      (socket) => onCreated(null, socket),
      (error: unknown) => fail(translate(error, url, false)),
    )
    return undefined
  }) as CreateConnection as OptionsInit['createConnection']
  const { bare, authorization } = splitCredentials(url)
  const body = got.stream(bare, {
    method,
    headers: { 'user-agent': `ess/${VERSION}`, ...authorization, ...options.headers },
    ...(options.body !== undefined && { body: options.body }),
    throwHttpErrors: false,
    retry: { limit: 0 },
    followRedirect: false,
    decompress: false,
    createConnection: connectLater,
  })
  const onAbort = () => fail(new EssError('interrupted', 'Stopped before the transfer was complete'))
  if (options.signal?.aborted) onAbort()
  else options.signal?.addEventListener('abort', onAbort, { once: true })

  body.on('request', (request) => {
    // got tells of an error some ticks later, and only of the first one.
    request.on('error', onWireError)
    request.once('response', (response: IncomingMessage) => intake?.look(response))
    // Of this one it tells nothing at all.
    request.on('upgrade', () =>
      fail(new EssError('not-ess', `Expected an ESS server at ${url.origin}, got an upgrade`)),
    )
  })
  body.on('response', (response: IncomingMessage) => {
    answer = response
    if (wire !== undefined) watchForSurplus(wire, response, onSurplus)
    head.resolve(response)
  })
  body.on('error', onWireError)

  function onSurplus(): void {
    fail(new EssError('incomplete', 'Expected the end of the answer, got more bytes'))
  }

  function isAnswered(): boolean {
    return answer?.complete === true || intake?.isWhole === true
  }

  function onWireError(error: unknown): void {
    // Once the answer is whole, all that can still spoil it is more of it, which Node's parser calls HPE_...
    if (!isAnswered() || codeOf(error).startsWith('HPE_')) fail(translate(error, url, isConnected))
  }

  async function connect(): Promise<Socket> {
    const { socket, tcp, isReadDirectly }: Connection = await connectTo(
      bare,
      connecting.signal,
      intake?.onread,
    )
    wire = socket
    isConnected = true
    connection.hold(socket, tcp)
    if (isReadDirectly) intake?.connect(tcp)
    watchForCut(socket, isAnswered, () => connection.reset())
    return socket
  }

  function fail(reason: EssError): void {
    failure ??= reason
    head.reject(failure)
    intake?.cut(failure)
    reset()
  }

  function reset(): void {
    release()
    connecting.abort()
    connection.reset()
    body.destroy(failure)
  }

  function release(): void {
    options.signal?.removeEventListener('abort', onAbort)
  }

  return {
    head: head.promise,
    body,
    blocks: (onBytes) => intake?.body(onBytes),
    get failure() {
      return failure
    },
    async lastWord() {
      if (wire !== undefined && !wire.readableEnded && !wire.destroyed) await endOf(wire)
    },
    fail,
    reset,
    ignoreAbort: release,
    close() {
      release()
      connection.close()
    },
  }
}

/** Resolves when the server has ended its side, or the connection is gone, or a second has passed. */
function endOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, LAST_WORD_MS)
    const done = () => {
      clearTimeout(timer)
      resolve()
    }
    socket.once('end', done).once('close', done)
  })
}

/** A password in a URL goes into its header here: got would choke on a lone `%`, and keep it in its errors. */
function splitCredentials(url: URL): { bare: URL; authorization: { authorization?: string } } {
  const credentials = basicCredentials(url)
  if (credentials === undefined) return { bare: url, authorization: {} }
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return { bare, authorization: { authorization: credentials } }
}

/** True for what went wrong with an exchange's body, and false for what went wrong with whoever reads it. */
export function isExchangeError(error: unknown): boolean {
  return error instanceof RequestError || error instanceof CutError
}
