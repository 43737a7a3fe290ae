import {
  encodeStatus,
  PASS_THROUGH_HEADERS,
  STATUS_MEDIA_TYPES,
  type TerminalEvent,
} from '../../shared/index.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import { Heartbeats } from '../answer/heartbeats.js'
import { ProgressClock } from '../answer/progress-clock.js'
import { StatusBody, type StatusStyle } from '../answer/status-body.js'
import { outlastHost } from '../node/host-timeouts.js'
import { requestedForm } from '../request/payload.js'
import type { Call } from './exchange.js'
import { openedEvent } from './links.js'
import type { Listeners } from './listeners.js'
import type { ResolvedOptions } from './options.js'
import type { EphemeralSocket } from './socket.js'

/** The status streams of a service. They share its timers: one for all heartbeats, one for all progress. */
export class StatusStreams {
  readonly heartbeats: Heartbeats
  readonly progress = new ProgressClock()
  readonly #options: ResolvedOptions
  readonly #listeners: Listeners

  constructor(options: ResolvedOptions, listeners: Listeners) {
    this.heartbeats = new Heartbeats(options.heartbeatMs)
    this.#options = options
    this.#listeners = listeners
  }

  /** The stream of `socket` as the answer to this call; `open` begins it. */
  create({ request, response }: Call, socket: EphemeralSocket): StatusBody {
    const { renderStatus, cors } = this.#options
    const render: StatusStyle['render'] =
      renderStatus && ((event) => this.#listeners.guarded('renderStatus', () => renderStatus(event, socket)))
    return new StatusBody(request, response, { form: requestedForm(request), render, cors }, this, socket)
  }

  /** Answers with how a transfer ended, which is over. */
  tellVerdict({ request, response }: Call, verdict: TerminalEvent): void {
    const form = requestedForm(request)
    const body = encodeStatus(verdict, form)
    removeForeignFields(response)
    response.writeHead(200, {
      ...this.#options.cors.headers(request),
      ...PASS_THROUGH_HEADERS,
      'Content-Type': STATUS_MEDIA_TYPES[form],
      'Content-Length': Buffer.byteLength(body),
    })
    response.end(body)
  }

  /**
   * Answers with where `socket` is now, then with everything that happens to it. `ended` is called when that is over.
   */
  follow(call: Call, socket: EphemeralSocket, base: string, ended: () => void): void {
    const { request, response } = call
    outlastHost(request, response)
    response.once('close', ended)
    const status = this.create(call, socket)
    // Every sender of a reservation may come in pieces.
    const isResumable =
      socket.isResumable || (socket.phase === 'reserved' && this.#options.resumeWithinMs > 0)
    status.open(200, openedEvent(socket, base, socket.fileName, { isResumable }))
    status.send(socket.state())
    socket.tell(status)
    // Its heartbeat would go on for a follower that has left.
    response.once('close', () => socket.forget(status))
    // A follower sends nothing more. Only reading on shows that it has left.
    request.resume()
  }
}
