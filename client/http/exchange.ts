import type { ClientRequestArgs, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import got, { type OptionsInit, RequestError } from 'got'
import { EssError } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import { isConnected, watchForCut, watchForSurplus } from '../node/answer-end.js'
import { codeOf } from '../node/errno-words.js'
import { HeldConnection } from '../node/held-connection.js'
import { CutError, Intake } from '../node/intake.js'
import { interrupted } from '../node/interrupted.js'
import type { TwoBlocks } from '../node/two-blocks.js'
import { type Connection, connectTo } from './connect.js'
import { splitCredentials } from './credentials.js'
import { otherThanEss, type Stage, translate } from './wire-errors.js'

/** How long we wait for the server to end its side, once its response has been read. */
const LAST_WORD_MS = 1_000

/** One request, its response, and the end of its connection. */
export interface Exchange {
  /** The response's head. Rejects with an EssError if none will come. */
  readonly head: Promise<IncomingMessage>
  /** The response's body. It fails if the connection does, or if the body is cut short. */
  readonly body: Readable
  /**
   * Returns the body in large blocks, to use instead of `body`. Undefined unless the body comes straight from the
   * connection: a download of known size over plain TCP, of which more is to come. `onBytes` is called with the
   * number of bytes so far.
   */
  blocks(onBytes: (bytes: number) => void): TwoBlocks | undefined
  /** Why the exchange broke; undefined while it has not. It may still break after the end of the body. */
  readonly failure: EssError | undefined
  /**
   * Waits for the server to end its side of the connection, for at most a second. Resolves with true if it has, and in good
   * order.
   */
  lastWord(): Promise<boolean>
  /** Breaks the exchange: the server sees a reset, and `head` and `body` fail. Only the first reason counts. */
  fail(reason: EssError): void
  /** Drops the exchange: the server sees a reset. Does nothing if the exchange is over. */
  reset(): void
  /** From now on, aborting the signal does nothing. Call it before steps that must not be interrupted. */
  ignoreAbort(): void
  /** Ends the connection in good order. */
  close(): void
}

/** A response of which the head was read. */
export type Reply = Pick<Exchange, 'body' | 'failure' | 'reset'>

export interface ExchangeOptions {
  readonly headers: Readonly<Record<string, string>>
  /** It must not throw: call `fail` before it ends early. */
  readonly body?: AsyncGenerator<Uint8Array>
  /** True reads the response by `blocks` if that is possible. Default: false. */
  readonly isDownload?: boolean
  /** Aborting it fails the exchange with `interrupted`. */
  readonly signal?: AbortSignal | undefined
}

type CreateConnection = NonNullable<ClientRequestArgs['createConnection']>

/**
 * Sends one request, directly or through the environment's proxy. Retries nothing, follows no redirect, unpacks
 * nothing.
 */
export function exchange(
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  url: URL,
  options: ExchangeOptions,
): Exchange {
  const connection = new HeldConnection()
  const intake = options.isDownload ? new Intake(connection, onSurplus) : undefined
  let failure: EssError | undefined
  let answer: IncomingMessage | undefined
  let wire: Socket | undefined
  /** The same, or what is below its TLS. */
  let wireTcp: Socket | undefined
  const head = withResolvers<IncomingMessage>()
  // Callers that only read the body meet the same failure there.
  head.promise.catch(() => {})

  const connecting = new AbortController()
  // Node also takes the connection from the callback, which got's types leave out.
  const connectLater = ((_options, onCreated) => {
    connect().then(
      (socket) => onCreated(null, socket),
      (error: unknown) => fail(translate(error, url, 'connecting')),
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
  const onAbort = () => fail(interrupted())
  if (options.signal?.aborted) onAbort()
  else options.signal?.addEventListener('abort', onAbort, { once: true })

  body.on('request', (request) => {
    // got reports an error some ticks later, and only the first one.
    request.on('error', onWireError)
    request.once('response', (response: IncomingMessage) => intake?.look(response))
    // got doesn't report an upgrade at all.
    request.on('upgrade', () => fail(otherThanEss(url, 'it switched to another protocol')))
  })
  body.on('response', (response: IncomingMessage) => {
    answer = response
    if (wire !== undefined) watchForSurplus(wire, response, onSurplus)
    head.resolve(response)
  })
  body.on('error', onWireError)

  function onSurplus(): void {
    fail(
      new EssError(
        'incomplete',
        'More bytes came after the end of the answer. To see what adds them, run ess doctor.',
      ),
    )
  }

  function stage(): Stage {
    if (answer !== undefined) return 'answered'
    if (wire === undefined) return 'connecting'
    return wire.bytesRead === 0 ? 'unheard' : 'unanswered'
  }

  function isAnswered(): boolean {
    return answer?.complete === true || intake?.isWhole === true
  }

  function onWireError(error: unknown): void {
    // Once the response is whole, only surplus bytes can spoil it. Node's parser reports them as HPE_...
    if (!isAnswered() || codeOf(error).startsWith('HPE_')) fail(translate(error, url, stage()))
  }

  async function connect(): Promise<Socket> {
    const { socket, tcp, isReadDirectly }: Connection = await connectTo(
      bare,
      connecting.signal,
      intake?.onread,
    )
    wire = socket
    wireTcp = tcp
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
      if (wire === undefined || wireTcp === undefined) return false
      if (!wire.readableEnded && !wire.destroyed) await endOf(wire)
      return wire.readableEnded && isConnected(wireTcp)
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

/** Resolves when the server has ended its side, when the connection is gone, or after a second. */
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

/** True if an exchange's body failed; false for a failure of the code that reads it. */
export function isExchangeError(error: unknown): boolean {
  return error instanceof RequestError || error instanceof CutError
}
