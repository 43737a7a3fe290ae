import type { ProgressEvent, StatusEvent, TerminalEvent } from '../../shared/index.js'
import type { StatusSink } from '../answer/status-body.js'

/** Everyone who is told about one socket: its sender, and the followers of its upload resource's events. */
export class Audience {
  readonly #sinks = new Set<StatusSink>()
  #knowsReceiver: boolean

  /** `knowsReceiver` is true if another node has told of a receiver already. */
  constructor(knowsReceiver = false) {
    this.#knowsReceiver = knowsReceiver
  }

  add(sink: StatusSink): void {
    this.#sinks.add(sink)
  }

  /** Tells `sink` no more; it ends by itself. */
  leave(sink: StatusSink): void {
    this.#sinks.delete(sink)
  }

  /** Tells `sink` no more, and ends it without a verdict. */
  dismiss(sink: StatusSink): void {
    this.#sinks.delete(sink)
    sink.release()
  }

  /** Tells every sink but `except`. */
  tell(event: StatusEvent, except?: StatusSink): void {
    for (const sink of this.#sinks) if (sink !== except) sink.send(event)
  }

  /** Tells that a receiver is there, once, even if the sender begins again. `canWait` is that of `StatusSink.send`. */
  tellConnected(canWait: boolean): void {
    if (this.#knowsReceiver) return
    this.#knowsReceiver = true
    for (const sink of this.#sinks) sink.send({ event: 'connected' }, canWait)
  }

  /** Tells of progress from now on. `isNews` tells where it stands now, too. */
  follow(progress: () => ProgressEvent, isNews: boolean): void {
    for (const sink of this.#sinks) {
      if (isNews) sink.send(progress())
      sink.follow(progress)
    }
  }

  /** Tells that the transfer goes on at another node, which ends every sink without a verdict. */
  move(): void {
    for (const sink of this.#sinks) sink.move(this.#knowsReceiver)
    this.#sinks.clear()
  }

  /** Tells the verdict, which ends every sink. */
  conclude(verdict: TerminalEvent): void {
    for (const sink of this.#sinks) sink.conclude(verdict)
    this.#sinks.clear()
  }
}
