import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as Connection } from 'node:net'
import type { Duplex } from 'node:stream'
import { EssError } from '../../shared/index.js'
import { Attachment } from '../node/attachment.js'
import { outliveHalfClose } from '../node/half-open.js'
import { endGently } from '../node/linger.js'
import { SENDER_CLOSED_ITS_HALF } from '../relay/gears/pump.js'
import { RawBody } from '../relay/gears/raw-body.js'
import { gatherSmallChunks } from '../relay/gears/small-chunks.js'
import type { Relay } from '../relay/relay.js'
import { isForm, readForm } from '../request/multipart.js'
import { checkSize, fileNameOf, readPayload } from '../request/sender.js'
import type { Call } from './exchange.js'
import type { ResolvedOptions } from './options.js'
import type { Segment, SenderFile } from './segment.js'
import type { EphemeralSocket } from './socket.js'

/** A connection on which a sender's body is coming. */
interface Sending {
  readonly socket: EphemeralSocket
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** True when something malformed followed the whole body. */
  isSpoiled: boolean
}

/** The requests of senders: their files are read from them, and they may break off at any moment. */
export class SenderRequests {
  readonly #options: ResolvedOptions
  readonly #relay: Relay
  /** Requests that wait for a 100 (Continue) that Node has left to us. */
  readonly #heldBack = new WeakSet<IncomingMessage>()
  readonly #sending = new Attachment<Connection, Sending>('sending')

  constructor(options: ResolvedOptions, relay: Relay) {
    this.#options = options
    this.#relay = relay
  }

  /** This request's 100 (Continue) is for `readFile` to send. */
  holdContinue(request: IncomingMessage): void {
    this.#heldBack.add(request)
  }

  /**
   * The file in a sender's request; of a form, once it was found. The sender may send it from now on. `fileName` is the
   * one in the path, decoded. Rejects with the EssError to refuse the request with.
   */
  async readFile({ request, response, query }: Call, fileName: string | undefined): Promise<SenderFile> {
    outliveHalfClose(request, response, () => {
      this.#sending.get(request.socket)?.socket.senderClosedItsHalf(request)
    })
    // Before the head: a 100 after it would stand in the middle of the chunked body.
    if (this.#heldBack.delete(request)) response.writeContinue()
    if (!isForm(request)) {
      return { payload: readPayload(request, query, fileName), body: this.#takeBody(request, response) }
    }
    gatherSmallChunks(request)
    const reading = readForm(request)
    // Its listeners are on by now. A host's middleware may have paused it, to look something up.
    if (request.isPaused()) request.resume()
    const { payload, body } = await reading
    checkSize(payload.contentLength, this.#options)
    return { payload: { ...payload, fileName: payload.fileName ?? fileNameOf({}, query, fileName) }, body }
  }

  #takeBody(request: IncomingMessage, response: ServerResponse): SenderFile['body'] {
    const raw = this.#relay.take(request, (detail) => {
      this.#sending.get(request.socket)?.socket.breakOff(request, 'bad-request', detail)
    })
    if (raw === undefined) {
      gatherSmallChunks(request)
      return { stream: request, isWhole: () => request.complete }
    }
    // Node's parser will never see the end of this request, nor anything that may follow it.
    response.shouldKeepAlive = false
    endGently(request.socket)
    return raw
  }

  /** The socket has taken this sender. */
  admitted(socket: EphemeralSocket, { request, response }: Segment): void {
    this.#sending.set(request.socket, { socket, request, response, isSpoiled: false })
  }

  /** Tells the sender at once of a form that is broken behind its file, rather than when a receiver comes. */
  watchForm(socket: EphemeralSocket, { request, body }: Segment): void {
    if (body instanceof RawBody || body.stream === request) return
    const broken = (error: Error) => {
      if (error instanceof EssError && (error.code === 'bad-request' || error.code === 'no-file-in-form'))
        socket.breakOff(request, error.code, error.message)
    }
    if (body.stream.errored) broken(body.stream.errored)
    else body.stream.once('error', broken)
  }

  /** See `Service.breakOff`. */
  breakOff(duplex: Duplex, error: NodeJS.ErrnoException): boolean {
    // Node types it so for 'clientError'; its servers never give anything but a Socket.
    const connection = duplex as Connection
    const sender = this.#sending.get(connection)
    if (sender === undefined || sender.response.writableFinished) return false
    const { socket, request, response } = sender
    // The connection's own end says that the sender left. Node's error is the reset, not something that was sent.
    if (connection.destroyed) return true
    const isEnd = error.code === 'HPE_INVALID_EOF_STATE'
    if (socket.hasAllOf(request)) {
      // The sender's own end, where it leaves no room for more: the verdict is still to come.
      if (isEnd) return true
    } else if (request.complete) {
      // After a whole body comes another request. This one doesn't fail for it; only the connection is of no more use.
      if (!sender.isSpoiled) response.once('finish', () => connection.destroySoon())
      sender.isSpoiled = true
    } else if (isEnd) {
      socket.breakOff(request, 'sender-lost', SENDER_CLOSED_ITS_HALF)
    } else {
      const detail = `Expected a body in HTTP/1.1 framing, got something else: ${error.message}`
      socket.breakOff(request, 'bad-request', detail)
    }
    return true
  }
}
