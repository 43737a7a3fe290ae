import type { OpenedEvent, StatusEvent } from '../../shared/index.js'
import type { UploadResource } from './upload-resource.js'

/** What its events tell of an upload that can go on by another request. */
export class KnownUpload {
  readonly id: string
  /** Seconds that the server waits for a side that has lost its connection. */
  readonly resumeWithin: number
  /** Where the next request goes. It changes when the receiver needs earlier bytes, and at another node. */
  resource: UploadResource
  #bytes = 0
  #isConnected = false
  #expiresMs: number
  #heardMs = Date.now()

  private constructor({ id, ttl }: OpenedEvent, resumeWithin: number, resource: UploadResource) {
    this.id = id
    this.resumeWithin = resumeWithin
    this.resource = resource
    this.#expiresMs = performance.now() + 1000 * ttl
  }

  /** Undefined if the upload ends with its request. */
  static from(opened: OpenedEvent, resource: UploadResource | undefined): KnownUpload | undefined {
    const { resumeWithin } = opened
    if (resource === undefined || resumeWithin === undefined) return undefined
    return new KnownUpload(opened, resumeWithin, resource)
  }

  /** Bytes that had reached the receiver's connection when the server last said so. */
  get bytes(): number {
    return this.#bytes
  }

  /** True if its receiver has come. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Seconds until its link expires; 0 at the least. Once a receiver has come, that doesn't matter any more. */
  get secondsLeft(): number {
    return Math.max(0, (this.#expiresMs - performance.now()) / 1000)
  }

  /** Milliseconds since the last event, by the clock on the wall: a laptop that slept has not heard for as long. */
  get silentMs(): number {
    return Date.now() - this.#heardMs
  }

  /** Tell it each event that the server sends, but for `opened`. */
  see(event: StatusEvent): void {
    this.#heardMs = Date.now()
    if (event.event === 'connected') this.#isConnected = true
    if (event.event === 'progress') this.#bytes = event.bytes
    if (event.event === 'waiting') this.#expiresMs = performance.now() + 1000 * event.secondsLeft
  }
}
