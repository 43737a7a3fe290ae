import type { StatusEvent } from '../../shared/index.js'
import type { Reservation } from './reservation.js'
import type { Resource } from './resource.js'

/** What the page knows of its upload: all that another node needs to open its link again. */
export class KnownUpload {
  readonly id: string
  /** The one that takes the body now: it changes when a receiver comes back for earlier bytes, and at another node. */
  resource: Resource
  /** True if its receiver has come. */
  isConnected = false
  #expiresMs: number
  #heardMs = Date.now()

  constructor({ id, resource, expiresAt }: Reservation) {
    this.id = id
    this.resource = resource
    this.#expiresMs = performance.now() + expiresAt - Date.now()
  }

  /** Seconds until its link expires; 0 at the least. Once a receiver has come, that doesn't matter any more. */
  get secondsLeft(): number {
    return Math.max(0, (this.#expiresMs - performance.now()) / 1000)
  }

  /** Milliseconds since the server told of it last, by the clock on the wall: a laptop that slept has not heard for as long. */
  get silentMs(): number {
    return Date.now() - this.#heardMs
  }

  /** The server has told of it. */
  hear(): void {
    this.#heardMs = Date.now()
  }

  /** Takes what an event tells. */
  see(event: StatusEvent): void {
    this.hear()
    if (event.event === 'waiting' || event.event === 'reserved')
      this.#expiresMs = performance.now() + 1000 * event.secondsLeft
  }
}
