import { EssError, formatCount, type TerminalEvent } from '../../shared/index.js'
import { FinalAnswer, rewound } from '../answer/final-answer.js'
import type { ClientLimits } from '../limits/client-limits.js'
import { outlastHost } from '../node/host-timeouts.js'
import type { Relay } from '../relay/relay.js'
import { checkReferer } from '../request/access.js'
import { creationOf, endsUnsaid, goesByOffset, refuseAsWhole, refuseDraft } from '../request/draft.js'
import { isForm } from '../request/multipart.js'
import { notesOf } from '../request/notes.js'
import { declaredLength, fileNameOf } from '../request/payload.js'
import { canReopen } from '../request/reopening.js'
import { type PieceHead, pieceHeadOf, type Reach, reachOf } from '../request/resume.js'
import { checkEarlyResponse, checkSender, checkSize } from '../request/sender.js'
import type { Ttl } from '../request/times.js'
import { requestedTtl } from '../request/times.js'
import { commonTerms } from './common-terms.js'
import { type Call, hasEnded, refusePipelined } from './exchange.js'
import { baseOf, openedEvent, type Reservation, reservationOf } from './links.js'
import type { Listeners } from './listeners.js'
import type { ResolvedOptions } from './options.js'
import type { Registry } from './registry.js'
import type { Segment, SenderFile } from './segment.js'
import type { SenderBodies } from './sender-bodies.js'
import type { Known } from './sender-side.js'
import { EphemeralSocket } from './socket.js'
import type { StatusStreams } from './status-streams.js'
import type { SocketObserver } from './subject.js'
import { UploadTokens } from './upload-tokens.js'

/** A reservation, and whether it was made by the rules of the draft. */
export interface Reserved extends Reservation {
  readonly isByDraft: boolean
}

/** Where a sender has to go on. */
export interface UploadOffset {
  readonly offset: number
  /** The length of the file in bytes; undefined if it is not known. */
  readonly total: number | undefined
  /** True if the receiver has everything. */
  readonly isComplete: boolean
}

/** The parts of a service that a sender's request passes. */
export interface SenderParts {
  readonly options: ResolvedOptions
  readonly relay: Relay
  readonly registry: Registry
  readonly limits: ClientLimits
  readonly listeners: Listeners
  readonly statusStreams: StatusStreams
  readonly senderBodies: SenderBodies
  readonly observer: SocketObserver
  /** Throws EssError `shutting-down` once the service takes nothing new. */
  readonly refuseWhenStopping: () => void
}

/** Makes sockets of senders' requests, and brings senders to the sockets that they reserved. */
export class SenderRequests {
  readonly #parts: SenderParts

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** See `Service.open`. */
  async open(call: Call, fileName: string | undefined): Promise<void> {
    const { options, registry, limits, statusStreams, senderBodies, refuseWhenStopping } = this.#parts
    const { request, response, query } = call
    refuseWhenStopping()
    refusePipelined(response)
    // The request followed a download that ended the connection, so no answer can be written.
    if (!request.socket.writable) return
    const base = baseOf(call, options)
    checkEarlyResponse(request, base, options)
    refuseDraft(request)
    checkSender(request, options)
    const ttl = requestedTtl(query, options.ttlMs)
    registry.checkRoom()
    // A form becomes a socket only when its file was found, but holds as much until then.
    const giveBack = limits.take('sockets', request)
    let socket: EphemeralSocket | undefined
    try {
      outlastHost(request, response)
      const file = await senderBodies.readFile(call, fileName)
      refuseWhenStopping()
      if (hasEnded(call)) return
      const reach = reachOf(request)
      socket = this.#createSocket(registry.mint(), { ...ttl, base, giveBack }, reach)
      const status = statusStreams.create(call, socket)
      registry.add(socket)
      const isResumable = reach !== undefined && options.resumeWithinMs > 0
      status.open(201, openedEvent(socket, base, file.payload.fileName, { isResumable }))
      this.#admit(socket, wholeSegment(file, { request, response, status }, reach), query)
    } finally {
      if (socket === undefined) giveBack()
    }
  }

  /** See `Service.reserve`. */
  reserve(call: Call): Reserved {
    const { options, registry, limits, listeners, refuseWhenStopping } = this.#parts
    const { request, query } = call
    refuseWhenStopping()
    checkReferer(request, options.requiredReferer)
    const creation = creationOf(request)
    checkSize(creation?.total, options)
    const base = baseOf(call, options)
    const ttl = requestedTtl(query, options.ttlMs)
    const notes = notesOf(request.headers)
    const said = fileNameOf(creation === undefined ? {} : request.headers, query, undefined)
    const fileName = notes.sealed === undefined ? said : undefined
    const id = registry.mint()
    const share = limits.takeReservation(request)
    const terms = { ...ttl, base, giveBack: share.giveBackSocket }
    const known = { fileName, contentLength: creation?.total, canReopen: canReopen(request), ...notes }
    const socket = this.#createSocket(id, terms, undefined, known)
    // It never rejects: it is settled when the reservation ends, too.
    void socket.senderCame.then(share.giveBackReservation)
    registry.add(socket)
    listeners.tell('socket:reserved', socket, socket.id, query, request)
    return { ...reservationOf(socket, base, fileName), isByDraft: creation !== undefined }
  }

  /** See `Service.upload`. */
  async upload(call: Call, token: string): Promise<void> {
    const { options, senderBodies, refuseWhenStopping } = this.#parts
    const { request, response, query } = call
    refuseWhenStopping()
    refusePipelined(response)
    const socket = this.#current(token)
    refuseAsWhole(request)
    checkSender(request, options)
    socket.inspect('sender-arrived')
    socket.checkOffset(0)
    // What the reservation said, and its link has shown, counts.
    const reserved = socket.phase === 'reserved' ? socket.contentLength : undefined
    if (reserved !== undefined) {
      // How long the file in a form is shows only later.
      const length = isForm(request) ? undefined : declaredLength(request.headers)
      checkPiece(socket, { offset: 0, length, isLast: true, total: length })
    }
    socket.checkNotes(notesOf(request.headers))
    outlastHost(request, response)
    const file = await senderBodies.readFile(call, undefined)
    if (hasEnded(call)) return
    const status = new FinalAnswer(request, response, options.cors)
    const reach = reachOf(request)
    const segment = wholeSegment(file, { request, response, status }, reach)
    const contentLength = reserved ?? file.payload.contentLength
    this.#admit(socket, { ...segment, payload: { ...file.payload, contentLength } }, query)
  }

  /** See `Service.append`. */
  async append(call: Call, token: string): Promise<void> {
    const { options, registry, senderBodies, refuseWhenStopping } = this.#parts
    const { request, response, query } = call
    const verdict = registry.verdictOf(token)
    if (verdict !== undefined) {
      this.#answerLate(call, pieceHeadOf(request), verdict)
      return
    }
    // A transfer that is under way may end, and its next piece belongs to it.
    const isNew = ['reserved', 'waiting'].includes(registry.findUpload(token).phase)
    if (isNew) refuseWhenStopping()
    refusePipelined(response)
    const socket = this.#current(token)
    checkResumes(options)
    const head = pieceHeadOf(request)
    const known = head.total ?? socket.contentLength
    const isEnd = !head.isLast && endsUnsaid(request, head, known)
    const piece = isEnd ? { ...head, isLast: true, total: known } : head
    checkSender(request, options)
    checkPiece(socket, piece)
    checkSize(piece.total ?? piece.offset + (piece.length ?? 0), options)
    socket.inspect('sender-arrived')
    socket.checkOffset(piece.offset)
    socket.checkNotes(notesOf(request.headers))
    outlastHost(request, response)
    const { payload, body } = await senderBodies.readPiece(call, piece)
    if (hasEnded(call)) return
    const status = new FinalAnswer(request, response, options.cors)
    // Who sends pieces can go on by another one.
    const reach = reachOf(request) ?? 0
    const { offset, length, isLast } = piece
    const total = piece.total ?? socket.contentLength
    const segment = { request, response, status, body, offset, length, isLast, reach }
    this.#admit(socket, { ...segment, payload: { ...payload, contentLength: total } }, query)
  }

  /** See `Service.offsetOf`. */
  async offsetOf(call: Call, token: string): Promise<UploadOffset> {
    const verdict = this.#parts.registry.verdictOf(token)
    if (verdict?.event === 'delivered')
      return { offset: verdict.bytes, total: verdict.bytes, isComplete: true }
    if (verdict !== undefined)
      throw new EssError('gone', 'This transfer is over, and it failed. Its events say why.')
    const socket = this.#current(token)
    checkResumes(this.#parts.options)
    await socket.senderReturned()
    const { offset, contentLength: total } = socket
    if (offset !== total || !goesByOffset(call.request)) return { offset, total, isComplete: false }
    // It would take this offset for success, and the receiver may yet fail.
    await socket.ended
    return await this.offsetOf(call, token)
  }

  /**
   * The transfer was over before this piece came: its receiver had everything, and left, while the sender came back.
   * Throws EssError `gone` for bytes of which the receiver can't have known.
   */
  #answerLate({ request, response }: Call, { offset, length = 0 }: PieceHead, verdict: TerminalEvent): void {
    if (verdict.event === 'delivered' && (offset !== verdict.bytes || length > 0))
      throw new EssError('gone', 'This transfer is over: the receiver has the whole file.')
    request.resume()
    new FinalAnswer(request, response, this.#parts.options.cors).conclude(verdict)
  }

  /** The socket whose upload resource this is. Throws EssError `not-found`, or `rewound` if it has another one by now. */
  #current(token: string): EphemeralSocket {
    const socket = this.#parts.registry.findUpload(token)
    const { current } = socket.tokens
    if (current === undefined || current === token) return socket
    throw rewound(socket.offset, socket.uploadUrl(current))
  }

  #admit(socket: EphemeralSocket, segment: Segment, query: URLSearchParams): void {
    const { listeners, senderBodies } = this.#parts
    const isFirst = socket.phase === 'reserved'
    socket.admit(segment)
    senderBodies.admitted(socket, segment)
    if (!isFirst) return
    listeners.tell('socket:opened', socket, socket.id, query, segment.request)
    senderBodies.watchForm(socket, segment)
  }

  #createSocket(
    id: string,
    terms: Ttl & { readonly base: string; readonly giveBack: () => void },
    reach: Reach,
    known?: Known,
  ): EphemeralSocket {
    const { options, registry, observer } = this.#parts
    const { resumeWithinMs, reservations } = options
    const tokens = new UploadTokens(() => registry.newToken(id))
    const isReserved = known !== undefined
    if (isReserved || reservations || (reach !== undefined && resumeWithinMs > 0)) tokens.renew()
    return new EphemeralSocket({ id, ...terms, ...commonTerms(this.#parts) }, tokens, observer, known)
  }
}

/** Throws EssError `method-not-allowed` where resuming is off: then an upload is one request. */
export function checkResumes({ resumeWithinMs }: ResolvedOptions): void {
  if (resumeWithinMs > 0) return
  const Allow = 'PUT, POST, DELETE, OPTIONS'
  throw new EssError(
    'method-not-allowed',
    'This server does not resume uploads (--resume-within 0). Send the whole file by PUT.',
    { fields: { Allow } },
  )
}

/** A file that one request brings as a whole; field by field, and without a spread: see `withFixedHeaders`. */
function wholeSegment(
  { payload, body }: SenderFile,
  { request, response, status }: Pick<Segment, 'request' | 'response' | 'status'>,
  reach: Reach,
): Segment {
  const length = payload.contentLength
  return { payload, body, offset: 0, length, isLast: true, reach, request, response, status }
}

/** Throws EssError `bad-request` for a piece that belies the length of the file. */
function checkPiece({ contentLength }: EphemeralSocket, { offset, length = 0, total }: PieceHead): void {
  const isOther = total !== undefined && total !== contentLength
  if (contentLength === undefined || (!isOther && offset + length <= contentLength)) return
  throw new EssError(
    'bad-request',
    `This file has ${formatCount(contentLength, 'byte')}, as its first request said. This request ends at byte ${total ?? offset + length}.`,
  )
}
