import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { ByteSink, ConnectionPort } from '../node/ports.js'
import { readByBuffer, readByStream } from '../node/raw-reading.js'
import { canReadIntoBuffer } from '../node/socket-inside.js'
import { Cork } from '../relay/gears/cork.js'
import { Ledger } from '../relay/gears/ledger.js'
import { Turn } from '../relay/gears/turn.js'

/**
 * How much is read or written at a time. TLS makes records of it, and Node writes ten of them at once at most: with
 * twice this much, each piece would take two writes, and with half of it there would be twice as many turns.
 */
const BATCH_BYTES = 128 * 1024

/** The buffer of a connection on which little comes. All share it: what was read into it is copied. */
const sharedBuffer = Buffer.allocUnsafeSlow(4096)

/** Unused buffers are kept for the next ones: memory outside V8's heap makes V8 collect garbage sooner. */
const MAX_SPARE_BUFFERS = 16
const spareBuffers: Buffer[] = []

const NOTHING = Buffer.alloc(0)

/** What one connection may bring by its stream in one turn of the event loop, before others have theirs. */
const MAX_TURN_BYTES = 512 * 1024

/** How much of a body leaves together: a session of HTTP/2 batches by itself, and takes no more at once. */
const PASSED_TOGETHER = 32 * 1024

/** Copies bytes from one connection to another through this process. */
export interface Copying {
  /** What the source's stream has read ahead: write it before all else. */
  readonly early: Buffer
  /** Writes bytes that were just read. Returns true while more may be read. `written` is called when they have left. */
  write(bytes: Buffer, written?: (error?: Error | null) => void): boolean
  /** Reads on. */
  resume(): void
  /** Reads no more. */
  stop(): void
}

/** What a copy asks of its caller. */
export interface CopyTerms {
  /** Takes bytes that were read, and returns true while more may be read. They are good until it returns. */
  take(bytes: Buffer): boolean
  /** The sink has what was written: call `resume`, unless there is a reason against it. */
  goOn(): void
}

/** Copies from `source` to `sink`, in the way that costs less. Call `resume` to begin. */
export function copyBytes(source: Socket, sink: Socket, terms: CopyTerms): Copying {
  return canReadIntoBuffer(source) ? copyByBuffer(source, sink, terms) : copyByStream(source, sink, terms)
}

/**
 * Reads into a buffer of our own, and again when the sink has what was read. By Node's own reading each read would leave
 * 64 KiB of garbage, and to collect that costs as much as the reading.
 */
function copyByBuffer(source: Socket, sink: Socket, { take, goOn }: CopyTerms): Copying {
  /** While much comes. */
  let own: Buffer | undefined
  /** True while the sink has not taken the last write, which `own` holds. */
  let isBusy = false
  let isLittle = true
  let isStopped = false
  const buffer = () => own ?? sharedBuffer
  const early = readEarly(source)
  const reading = readByBuffer(source, sharedBuffer, filled, buffer)

  return { early, write, resume, stop }

  function filled(bytes: Buffer): boolean {
    if (!isBusy || own === undefined) return take(bytes)
    // If Node reads on regardless, it has overwritten a buffer in use: no byte of that may pass for the peer's.
    source.destroy(new Error('Expected no bytes while reading was stopped'))
    return false
  }

  function write(bytes: Buffer, written?: (error?: Error | null) => void): boolean {
    sink.write(own === undefined ? Buffer.from(bytes) : bytes, (error) => {
      taken()
      written?.(error)
    })
    isLittle = bytes.length < sharedBuffer.length
    isBusy = sink.writableLength > 0
    if (!isBusy) suit()
    return !isBusy
  }

  /** If the kernel has taken all of a write at once, this comes a little later. */
  function taken(): void {
    if (!isBusy || isStopped || sink.writableLength > 0) return
    isBusy = false
    suit()
    goOn()
  }

  /** Goes on with a buffer that suits what comes. */
  function suit(): void {
    if (!isLittle) own ??= spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES)
    else giveBack()
  }

  function giveBack(): void {
    if (own !== undefined && spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(own)
    own = undefined
  }

  function resume(): void {
    if (isBusy) return
    reading.into(buffer)
    reading.resume()
  }

  function stop(): void {
    isStopped = true
    // A buffer that the kernel has not taken whole is still in use.
    if (isBusy) own = undefined
    else giveBack()
    isBusy = false
    reading.leave(true)
  }
}

/** What the stream has read ahead. */
function readEarly(source: Socket): Buffer {
  const pieces: Buffer[] = []
  while (source.readableLength > 0) {
    // A connection without an encoding gives buffers.
    pieces.push(source.read() as Buffer)
  }
  return Buffer.concat(pieces)
}

/** Over TLS each read has memory of its own, 16 KiB at most. What comes in one turn leaves together, and is freed then. */
function copyByStream(source: Socket, sink: Socket, { take, goOn }: CopyTerms): Copying {
  const ledger = new Ledger(sink, source, readOn)
  const cork = new Cork(sink)
  const turn = new Turn(MAX_TURN_BYTES, turnOver)
  let isReading = false
  let isStopped = false
  const reading = readByStream(source, take)

  // The stream itself gives what it has.
  return { early: NOTHING, write, resume, stop }

  function write(bytes: Buffer, written?: (error?: Error | null) => void): boolean {
    turn.spend(bytes.length)
    cork.hold()
    cork.count(bytes.length)
    ledger.wrote(bytes.length, bytes)
    sink.write(bytes, (error) => {
      ledger.taken(error)
      written?.(error)
    })
    if (cork.bytes >= BATCH_BYTES) cork.release()
    isReading = !turn.isSpent && !ledger.isFull
    return isReading
  }

  function turnOver(): void {
    cork.release()
    readOn()
  }

  function readOn(): void {
    if (!isReading && !isStopped && !turn.isUnderWay && !ledger.isWaiting) goOn()
  }

  function resume(): void {
    isReading = true
    reading.resume()
  }

  function stop(): void {
    isStopped = true
    turn.stop()
    // What was read is passed on, whatever follows.
    cork.release()
    reading.leave(true)
  }
}

/** Passes on what a stream of Node's brings, at the pace of its sink. */
export interface PassingOn {
  /** Writes what still waits. Call it before the sink is ended. */
  finish(): void
  /** Passes on nothing more. What still comes is thrown away. */
  stop(): void
}

/** Passes on a body that Node's parser reads. `below` is the connection of a response that Node frames. */
export function passOn(source: Readable, sink: ByteSink, below?: ConnectionPort): PassingOn {
  const ledger = new Ledger(sink, source, goOn)
  const cork = new Cork(sink, below)
  const turn = new Turn(MAX_TURN_BYTES, turnOver)
  let isStopped = false
  source.on('data', forward)

  return { finish, stop }

  function forward(bytes: Buffer): void {
    turn.spend(bytes.length)
    cork.hold()
    cork.count(bytes.length)
    ledger.wrote(bytes.length, bytes)
    sink.write(bytes, ledger.taken)
    if (cork.bytes >= PASSED_TOGETHER) cork.release()
    if (turn.isSpent || ledger.isFull) source.pause()
  }

  function turnOver(): void {
    cork.release()
    goOn()
  }

  function goOn(): void {
    if (!isStopped && !turn.isUnderWay && !ledger.isWaiting && source.isPaused()) source.resume()
  }

  function finish(): void {
    turn.stop()
    cork.release()
  }

  function stop(): void {
    isStopped = true
    turn.stop()
    source.off('data', forward)
    source.resume()
  }
}
