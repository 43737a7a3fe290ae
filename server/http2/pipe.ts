import { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'

/** How long the session may leave what has come unread, while it has nothing to write either. */
const UNREAD_MS = 1000

type Done = (error?: Error | null) => void

/**
 * A connection as a plain stream. If Node 20 to 24 are given the connection itself, they put HTTP/2 on its handle, and
 * never notice a peer that resets it while we are writing: the handle isn't read, and the write's error gets lost. With
 * a stream, a lost receiver is an error at once. It costs about a third of a core's throughput.
 */
export class ConnectionPipe extends Duplex {
  readonly #connection: TLSSocket
  #unread: NodeJS.Timeout | undefined

  constructor(connection: TLSSocket) {
    super({ allowHalfOpen: false })
    this.#connection = connection
    connection
      .on('data', (bytes: Buffer) => {
        if (!this.push(bytes)) this.#hold()
      })
      .on('end', () => this.push(null))
      .on('error', (error) => this.destroy(error))
      .on('close', () => this.destroy())
  }

  override _read(): void {
    clearTimeout(this.#unread)
    this.#connection.resume()
  }

  /**
   * The session stops reading while it has more to write than its peer takes, and for good when it has ended the
   * connection because of a flood. A connection that isn't read doesn't notice that its peer has left, and would stay.
   */
  #hold(): void {
    this.#connection.pause()
    clearTimeout(this.#unread)
    this.#unread = setTimeout(() => {
      if (this.writableLength === 0) this.destroy()
      else this.#hold()
    }, UNREAD_MS)
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#connection.write(bytes, done)
  }

  override _writev(writes: { chunk: Buffer }[], done: Done): void {
    this.#connection.cork()
    for (const [index, { chunk }] of writes.entries()) {
      const isLast = index === writes.length - 1
      // Writes are taken in order, and an error of one is an error of all that follow.
      this.#connection.write(chunk, isLast ? done : undefined)
    }
    this.#connection.uncork()
  }

  override _final(done: Done): void {
    this.#connection.end(done)
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#unread)
    this.#connection.destroy()
    done(error)
  }
}
