import type { IncomingMessage } from 'node:http'
import type { Socket as Connection } from 'node:net'
import type { Duplex } from 'node:stream'
import { EssError } from '../../shared/index.js'
import { Attachment } from '../node/attachment.js'
import { outliveHalfClose } from '../node/half-open.js'
import { endGently } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import { SENDER_CLOSED_ITS_HALF } from '../relay/gears/pump.js'
import { RawBody } from '../relay/gears/raw-body.js'
import { gatherSmallChunks } from '../relay/gears/small-chunks.js'
import type { Relay } from '../relay/relay.js'
import { isForm, readForm } from '../request/multipart.js'
import { notesOf } from '../request/notes.js'
import { declaredLength, fileNameOf, readPayload, veiled } from '../request/payload.js'
import { type PieceHead, reachOf } from '../request/resume.js'
import { checkSize } from '../request/sender.js'
import type { Call } from './exchange.js'
import type { ResolvedOptions } from './options.js'
import type { Segment, SenderFile } from './segment.js'
import type { EphemeralSocket } from './socket.js'

/** A connection on which a sender's body is coming. */
interface Sending {
  readonly socket: EphemeralSocket
  readonly request: IncomingMessage
  readonly response: ResponsePort
  /** True when something malformed followed the whole body. */
  isSpoiled: boolean
}

/** Reads the files in senders' requests, and notices requests that break off. */
export class SenderBodies {
  readonly #options: ResolvedOptions
  readonly #relay: Relay
  /** Requests that wait for a 100 (Continue) that Node has left to us. */
  readonly #heldBack = new WeakSet<IncomingMessage>()
  readonly #sending = new Attachment<Connection, Sending>('sending')

  constructor(options: ResolvedOptions, relay: Relay) {
    this.#options = options
    this.#relay = relay
  }

  /** Leaves this request's 100 (Continue) to `readFile`. */
  holdContinue(request: IncomingMessage): void {
    this.#heldBack.add(request)
  }

  /**
   * Resolves to the file in a sender's request (for a form, when it was found), and lets the sender send it. `fileName`
   * is the one in the path, decoded. Rejects with the EssError to refuse the request with.
   */
  async readFile({ request, response, query }: Call, fileName: string | undefined): Promise<SenderFile> {
    outliveHalfClose(request, response, () => {
      this.#sending.get(request.socket)?.socket.senderClosedItsHalf(request)
    })
    // Before our head: after it, the 100 would stand in the middle of the chunked response.
    if (this.#heldBack.delete(request)) response.writeContinue()
    if (!isForm(request)) {
      const mayGoOn = reachOf(request) !== undefined && this.#options.resumeWithinMs > 0
      const way = mayGoOn && declaredLength(request.headers) === undefined ? 'stream' : undefined
      return { payload: readPayload(request, query, fileName), body: this.#takeBody(request, response, way) }
    }
    gatherSmallChunks(request)
    const reading = readForm(request)
    // `readForm` listens by now. A host's middleware may have paused the request, to look something up.
    if (request.isPaused()) request.resume()
    const { payload, body } = await reading
    checkSize(payload.contentLength, this.#options)
    const named = { ...payload, fileName: payload.fileName ?? fileNameOf({}, query, fileName) }
    return { payload: veiled({ ...named, ...notesOf(request.headers) }), body }
  }

  /** The same for a piece, whose body is never a form. Its type is the file's in the first one. */
  async readPiece({ request, response, query }: Call, { isLast, total }: PieceHead): Promise<SenderFile> {
    outliveHalfClose(request, response, () => {
      this.#sending.get(request.socket)?.socket.senderClosedItsHalf(request)
    })
    if (this.#heldBack.delete(request)) response.writeContinue()
    const payload = { ...readPayload(request, query, undefined), contentType: 'application/octet-stream' }
    // After a raw body its connection ends, and the next piece would need another one.
    if (isLast)
      return { payload, body: this.#takeBody(request, response, total === undefined ? 'stream' : undefined) }
    gatherSmallChunks(request)
    return { payload, body: { stream: request, isWhole: () => request.complete } }
  }

  /** `way` is the one that costs least where the receiver's response has chunks of its own. */
  #takeBody(request: IncomingMessage, response: ResponsePort, way?: 'stream'): SenderFile['body'] {
    const broken = (detail: string) =>
      this.#sending.get(request.socket)?.socket.breakOff(request, 'bad-request', detail)
    const raw = this.#relay.take(request, broken, way)
    if (raw === undefined) {
      gatherSmallChunks(request)
      return { stream: request, isWhole: () => request.complete }
    }
    // Node's parser will see neither the end of this request nor anything after it.
    response.shouldKeepAlive = false
    endGently(request.socket)
    return raw
  }

  /** Call it when `socket` has taken this sender: from now on its request may break off. */
  admitted(socket: EphemeralSocket, { request, response }: Segment): void {
    this.#sending.set(request.socket, { socket, request, response, isSpoiled: false })
  }

  /** Fails a form that is broken behind its file at once, instead of when a receiver comes. */
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
    // Node's type for 'clientError' says Duplex, but its servers always pass a Socket.
    const connection = duplex as Connection
    const sender = this.#sending.get(connection)
    if (sender === undefined || sender.response.writableFinished) return false
    const { socket, request, response } = sender
    // The sender has left, and the connection's own end says so. Node's error is the reset, not bad bytes.
    if (connection.destroyed) return true
    const isEnd = error.code === 'HPE_INVALID_EOF_STATE'
    if (socket.hasAllOf(request)) {
      // The sender closed its half after its whole body, and the verdict is still to come.
      if (isEnd) return true
    } else if (request.complete) {
      // The bad bytes follow a whole body, so this request doesn't fail. Only the connection is of no more use.
      if (!sender.isSpoiled) response.once('finish', () => connection.destroySoon())
      sender.isSpoiled = true
    } else if (isEnd) {
      socket.breakOff(request, 'sender-lost', SENDER_CLOSED_ITS_HALF)
    } else {
      const detail = `The upload is not valid HTTP/1.1: ${error.message}. Check the program that sends it, and any proxy on the way.`
      socket.breakOff(request, 'bad-request', detail)
    }
    return true
  }
}
