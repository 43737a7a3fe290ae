import type { IncomingMessage } from 'node:http'
import {
  EssError,
  formatDuration,
  type ProgressEvent,
  type StatusEvent,
  type TerminalEvent,
  toFailedProblem,
} from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import type { ProgressClock, Ticking } from '../answer/progress-clock.js'
import type { Entry } from '../node/entry.js'
import { Occurrence } from '../node/occurrence.js'
import type { Relay } from '../relay/relay.js'
import type { TransferEnd } from '../relay/transfer.js'
import type { Payload } from '../request/payload.js'
import { Audience } from './audience.js'
import type { Delivery } from './delivery.js'
import type { SocketInfo, SocketStats } from './events.js'
import { type Effect, type Input, MAX_EARLY_RECEIVERS } from './lifecycle.js'
import { isSenderThere, releaseBody, type Segment } from './segment.js'

/** What is fixed when a socket is made. */
export interface SocketTerms {
  readonly id: string
  /** The secret of the upload resource; undefined on a server without reservations. */
  readonly token: string | undefined
  readonly ttlMs: number
  /** Only where the sender asked for more than the server allows. */
  readonly askedTtlMs?: number
  readonly maxUploadBytes: number
  readonly stallTimeoutMs: number
  readonly relay: Relay
  readonly cors: Cors
  readonly progress: ProgressClock
  /** Gives the client's share back. The observer calls it when the socket has ended. */
  readonly giveBack: () => void
}

/** The socket as its effects see it. */
export interface Subject extends SocketInfo {
  readonly terms: SocketTerms
  /** The event that says where the socket is now. */
  state(): StatusEvent
  apply(input: Input, cause?: Cause): void
}

/** Is told about the life of each socket. */
export interface SocketObserver {
  connected(socket: Subject, receiverRequest: IncomingMessage): void
  progress(socket: Subject, bytes: number): void
  closed(socket: Subject, stats: SocketStats): void
}

/** What comes with an input. */
export interface Cause {
  /** With `sender-arrived`. */
  readonly segment?: Segment
  /** With `receiver-arrived`. */
  readonly delivery?: Delivery
  /** With an input that ends the socket: why, for people on both sides. */
  readonly detail?: string | undefined
  /** With `delivered`: the receiver closed its connection in good order. */
  readonly isConfirmed?: boolean
  /** When `closed` is entered. */
  readonly ending?: Ending
}

/** How a socket ended. */
export type Ending = Pick<SocketStats, 'outcome' | 'error' | 'bytes' | 'confirmed'>

/** A file of which nothing is known yet. */
const UNKNOWN: Payload = {
  fileName: undefined,
  contentType: 'application/octet-stream',
  contentLength: undefined,
}

/** Everything that one socket does, by the names in the table of `lifecycle.ts`, and the state that this needs. */
export class SocketEffects implements Record<Effect, (cause: Cause) => void>, Ticking {
  readonly #socket: Subject
  readonly #observer: SocketObserver
  readonly audience = new Audience()
  readonly senderCame = new Occurrence()
  readonly ended = new Occurrence()
  #payload: Payload
  #segment: Segment | undefined
  #delivery: Delivery | undefined
  #earlyReceivers = 0
  #ttl: NodeJS.Timeout | undefined
  #ticking: Entry<Ticking> | undefined
  /** What the observer was told last. */
  #toldBytes = 0

  constructor(socket: Subject, observer: SocketObserver, fileName: string | undefined) {
    this.#socket = socket
    this.#observer = observer
    this.#payload = { ...UNKNOWN, fileName }
  }

  get payload(): Payload {
    return this.#payload
  }

  get segment(): Segment | undefined {
    return this.#segment
  }

  /** Bytes that the kernel has taken for the receiver. */
  get bytes(): number {
    return this.#delivery?.bytes ?? 0
  }

  /** Says how far the transfer is; undefined before there is one. */
  get progress(): (() => ProgressEvent) | undefined {
    const delivery = this.#delivery
    if (delivery === undefined) return undefined
    const total = this.#payload.contentLength
    return () => ({ event: 'progress', bytes: delivery.bytes, ...(total !== undefined && { total }) })
  }

  'arm-ttl'(): void {
    const { ttlMs } = this.#socket.terms
    const detail = `The transfer did not begin within ${formatDuration(ttlMs / 1000)}, so the link expired. Send the file again for a new link.`
    this.#ttl = setTimeout(() => this.#socket.apply('expired', { detail }), ttlMs)
  }

  'clear-ttl'(): void {
    clearTimeout(this.#ttl)
  }

  /** Throws EssError `busy` when as many wait as may. */
  'hold-receiver'(): void {
    if (this.#earlyReceivers >= MAX_EARLY_RECEIVERS)
      throw new EssError(
        'busy',
        `${this.#earlyReceivers} receivers are waiting for the sender of this file already, and only one will get it. Ask the sender for a link of your own.`,
      )
    this.#earlyReceivers++
  }

  'let-receiver-go'(): void {
    this.#earlyReceivers--
  }

  'free-receivers'(): void {
    this.senderCame.happen()
  }

  /** In the place of the one before, if there is one: that ends without a verdict, and its file keeps its name. */
  'take-sender'({ segment }: Cause): void {
    if (segment === undefined) return
    const left = this.#segment
    this.#segment = segment
    this.audience.add(segment.status)
    if (left === undefined) {
      this.#payload = { ...segment.payload, fileName: segment.payload.fileName ?? this.#payload.fileName }
      return
    }
    releaseBody(left)
    left.response.off('close', this.#senderClosed)
    this.audience.dismiss(left.status)
  }

  /** Until bytes move, this alone notices a sender that goes away. */
  'watch-sender'(): void {
    this.#segment?.response.once('close', this.#senderClosed)
  }

  /** From here the transfer notices: a sender that leaves after its last byte is no loss for the receiver. */
  'unwatch-sender'(): void {
    this.#segment?.response.off('close', this.#senderClosed)
  }

  /** Anything left of its body must not keep the sender from reading its verdict. */
  'release-sender'(): void {
    if (this.#segment !== undefined) releaseBody(this.#segment)
  }

  'take-receiver'({ delivery }: Cause): void {
    this.#delivery = delivery
  }

  'join-relay'(): void {
    const { id, terms } = this.#socket
    const { maxUploadBytes, stallTimeoutMs, relay } = terms
    if (this.#segment === undefined || this.#delivery === undefined) return
    const ended = this.#delivery.join(
      this.#segment.body,
      { id, ...this.#payload },
      { maxUploadBytes, stallTimeoutMs, relay, bodyBegan: () => this.#socket.apply('body-began') },
    )
    // It never rejects, and nothing else waits for it.
    void ended.then((end) => this.#transferEnded(end))
  }

  #transferEnded(end: TransferEnd): void {
    if (end.input === 'delivered') this.#socket.apply('delivered', { isConfirmed: end.confirmed })
    else this.#socket.apply(end.input, { detail: end.detail })
  }

  'report-receiver'(): void {
    if (this.#delivery !== undefined) this.#observer.connected(this.#socket, this.#delivery.request)
  }

  'start-relay'(): void {
    const segment = this.#segment
    if (segment === undefined) return
    if (isSenderThere(segment, this.#socket.terms.relay)) this.#startAtOnce(segment.request.complete)
    else this.#startWhenProbed(segment)
  }

  #startAtOnce(isAllHere: boolean): void {
    // A body that is all here is as good as delivered: its verdict follows as soon as this news.
    if (isAllHere) this.#announce(isAllHere)
    this.#delivery?.start()
    // The first bytes come before the news about them.
    if (!isAllHere && this.#socket.phase === 'streaming') this.#announce(isAllHere)
  }

  #announce(isAllHere: boolean): void {
    this.audience.tellConnected(true)
    this.#tellProgress(!isAllHere)
  }

  #tellProgress(isNews: boolean): void {
    if (this.progress !== undefined) this.audience.follow(this.progress, isNews)
    this.#ticking ??= this.#socket.terms.progress.start(this)
  }

  /**
   * A paused sender that died, behind bytes that fill our window or where the kernel can't be asked, is noticed only by
   * writing to it. The first write makes its kernel answer with a reset; the second one, a turn later, meets that. Both
   * come before the first byte goes to the receiver.
   */
  #startWhenProbed(segment: Segment): void {
    const isOver = () => this.#socket.phase !== 'streaming' || this.#segment !== segment
    this.audience.tellConnected(false)
    setImmediate(() => {
      if (isOver()) return
      this.#tellProgress(true)
      setImmediate(() => {
        if (!isOver()) this.#delivery?.start()
      })
    })
  }

  tick(): void {
    const { bytes } = this
    if (bytes !== this.#toldBytes) this.#observer.progress(this.#socket, bytes)
    this.#toldBytes = bytes
  }

  /** A relay that has delivered has stopped by itself. */
  'stop-relay'({ ending }: Cause): void {
    this.#socket.terms.progress.stop(this.#ticking)
    if (ending?.error !== undefined) this.#delivery?.stop()
  }

  'fail-receiver'({ ending }: Cause): void {
    if (ending?.error !== undefined) this.#delivery?.fail(ending.error)
  }

  'tell-followers'(): void {
    this.audience.tell(this.#socket.state(), this.#segment?.status)
  }

  'tell-verdict'({ ending }: Cause): void {
    if (ending !== undefined) this.audience.conclude(verdictOf(ending))
  }

  'report-end'({ ending }: Cause): void {
    this.ended.happen()
    if (ending === undefined) return
    const durationMs = Math.round(this.#socket.ageMs)
    const { gear, firstByteMs } = this.#delivery ?? { gear: undefined, firstByteMs: undefined }
    this.#observer.closed(this.#socket, { ...ending, durationMs, gear, firstByteMs })
  }

  readonly #senderClosed = (): void => {
    this.#socket.apply('sender-lost', {
      detail: 'The sender disconnected before the transfer began. Send the file again for a new link.',
    })
  }
}

function verdictOf({ error, bytes, confirmed }: Ending): TerminalEvent {
  return error === undefined
    ? { event: 'delivered', bytes, confirmed }
    : { event: 'failed', problem: toFailedProblem(error), bytes }
}
