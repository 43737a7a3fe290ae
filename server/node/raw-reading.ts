import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { readInto, setReading } from './socket-inside.js'

/** A connection that is read below Node's HTTP parser. */
export interface RawReading {
  /** A reader begins; its first bytes go into the buffer that `buffer` returns. */
  into(buffer: () => Buffer): void
  resume(): void
  pause(): void
  /** The reader has left. Unless the connection is resumed, no more comes than it holds already. */
  leave(hadReader: boolean): void
}

const readNothing = () => undefined

/** Stops Node from filling this request by itself. What it has read already can still be taken from it. */
export function stopFilling(request: IncomingMessage): void {
  request._read = readNothing
}

/**
 * Reads a connection into buffers of the caller's. `idleBuffer` takes the bytes while there is no reader. `filled` is
 * called with the bytes at the beginning of the buffer, and returns true while more may be read; `nextBuffer` returns
 * where they go.
 */
export function readByBuffer(
  connection: Socket,
  idleBuffer: Buffer,
  filled: (bytes: Buffer) => boolean,
  nextBuffer: () => Buffer,
): RawReading {
  readInto(connection, idleBuffer, { filled, nextBuffer })
  // For such a listener node:http takes its parser off the connection (`unconsume` in lib/_http_server.js).
  connection.on('readable', readNothing)
  return {
    into: (buffer) => readInto(connection, buffer()),
    resume: () => setReading(connection, true),
    pause: () => setReading(connection, false),
    leave: (hadReader) => {
      if (!hadReader) return
      setReading(connection, false)
      readInto(connection, idleBuffer)
    },
  }
}

/**
 * Reads a connection by its own 'data' events, for which node:http takes its parser off as well. A paused stream would
 * read on up to its high-water mark, beyond what it has already; so this stops it where it asks for more. `filled` is
 * called with the bytes, and returns true while more may be read.
 */
export function readByStream(connection: Socket, filled: (bytes: Buffer) => boolean): RawReading {
  const [parse] = connection.listeners('data')
  const read = connection._read
  let isPaused = false
  let isLeft = false
  connection.on('data', take)
  if (parse !== undefined) connection.off('data', parse as (bytes: Buffer) => void)
  // Not a literal: see `endGently`.
  connection._read = readUnlessPaused
  // The parser pauses the connection if the rest of what it was reading is enough to hold.
  process.nextTick(() => {
    if (connection.isPaused()) pause()
  })
  return {
    into: () => connection.resume(),
    resume: () => {
      isPaused = false
      connection.resume()
      setReading(connection, true)
    },
    pause,
    leave: () => {
      isLeft = true
      isPaused = false
      connection.pause()
      // A caller that resumes the connection later must find a stream that knows it has to read.
      setReading(connection, true)
    },
  }

  function take(bytes: Buffer): void {
    if (!filled(bytes)) pause()
  }

  /** Once the reader has left, the connection reads on, so that its end is seen. */
  function pause(): void {
    if (isLeft) return
    isPaused = true
    setReading(connection, false)
  }

  function readUnlessPaused(bytes: number): void {
    if (!isPaused) read.call(connection, bytes)
  }
}
