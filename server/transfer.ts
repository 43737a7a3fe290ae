import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { EssError, formatDuration } from '../shared/index.js'
import { freeChunk } from './free-chunk.js'
import { addLength } from './length-trailer.js'
import { withResolvers } from './with-resolvers.js'

/** How long the receiver's head is held back for the sender's first byte: a dead sender gives a 502, not a broken 200. */
const HELD_HEAD_MS = 10_000

/** How long the receiver has, after its last byte, to close its half: what the kernel still holds must reach it first. */
const CONFIRM_MS = 30_000

/** What a transfer needs to know. */
export interface TransferOptions {
  /** The declared length of the sender's body in bytes; undefined when it is chunked. */
  readonly total: number | undefined
  /** Bytes; 0 for no limit. */
  readonly maxUploadBytes: number
  /** Milliseconds without a byte moving; 0 for no limit. */
  readonly stallTimeoutMs: number
  /** Writes the head of the receiver's response. Called at most once, when the first byte or the end is there. */
  readonly writeHead: () => void
}

/** The bytes of the sender's file: its request itself, or the file part of the form that it holds. */
export interface SenderBody {
  readonly stream: Readable
  /** After the stream's end: whether that was the end of the whole file. */
  isWhole(): boolean
}

/** How a transfer ends badly. */
export type TransferFailure =
  | 'sender-lost'
  | 'receiver-lost'
  | 'bad-request'
  | 'no-file-in-form'
  | 'too-large'
  | 'stalled'

/** How a transfer ended. */
export type TransferEnd =
  /** `confirmed` is false when the receiver had not closed its half 30 s after its last byte. */
  | { readonly input: 'delivered'; readonly confirmed: boolean }
  /** `detail` is for people, on both sides. */
  | { readonly input: TransferFailure; readonly detail: string }

/** One transfer under way. */
export interface Transfer {
  /** Fulfilled with how it ended; never rejected, and never fulfilled after `stop`. */
  readonly ended: Promise<TransferEnd>
  /** Bytes that the kernel has taken for the receiver. */
  bytes(): number
  /** True until the sender's first byte was read. */
  isUntouched(): boolean
  /** Begins to read the sender's body. Until then only losses are noticed. */
  start(): void
  /** Lets go of both sides, for a socket that ends for another reason. */
  stop(): void
}

/**
 * Moves the bytes of one transfer: the sender's body into the receiver's response, at the receiver's pace.
 * It counts, limits, and notices who hung up. It ends neither leg: that is the socket's to do, when `ended`
 * says how it went.
 */
export function createTransfer(
  senderBody: SenderBody,
  receiverResponse: ServerResponse,
  options: TransferOptions,
): Transfer {
  const { stream } = senderBody
  const { total, maxUploadBytes, stallTimeoutMs } = options
  // Kept, because a finished response has let go of its connection, which has still to be confirmed.
  const receiverConnection = receiverResponse.req.socket
  /** The writes that the kernel has not taken yet, oldest first. */
  const pending: Buffer[] = []
  let received = 0
  let handedOn = 0
  let isHeadWritten = false
  let isSenderDone = false
  let isEndWritten = false
  let confirmation: NodeJS.Timeout | undefined

  const heldHead = setTimeout(writeHead, HELD_HEAD_MS)
  const { promise: ended, resolve } = withResolvers<TransferEnd>()

  stream.on('end', senderEnded).on('close', senderClosed).on('error', senderFailed)
  receiverResponse.on('drain', receiverDrained).on('timeout', stalled)
  receiverConnection.on('close', receiverClosed)
  // The idle timer of the receiver's connection is started anew by every byte that moves, either way: the
  // sender's bytes go straight into it, and the part of a write that the kernel took counts as well.
  receiverResponse.setTimeout(stallTimeoutMs)

  return {
    ended,
    bytes: () => handedOn,
    isUntouched: () => received === 0 && !isSenderDone,
    start: () => {
      if (!stream.destroyed) stream.on('data', forward)
    },
    stop: unhook,
  }

  function forward(chunk: Buffer): void {
    received += chunk.length
    if (total !== undefined && received > total) {
      // A form whose end is not as its length foretold; HTTP itself lets no body go beyond its Content-Length.
      end({
        input: 'bad-request',
        detail: `Expected a file of ${total} bytes, as the form's length says, got more`,
      })
      return
    }
    if (maxUploadBytes > 0 && received > maxUploadBytes) {
      end({ input: 'too-large', detail: `Expected at most ${maxUploadBytes} bytes, got more` })
      return
    }
    writeHead()
    pending.push(chunk)
    if (!receiverResponse.write(chunk, chunkTaken)) stream.pause()
  }

  function chunkTaken(error?: Error | null): void {
    const chunk = pending.shift()
    if (chunk === undefined || error) return
    handedOn += chunk.length
    // Whoever listens to the sender's body beside us may still be using it.
    if (stream.listenerCount('data') <= 1) freeChunk(chunk)
  }

  function receiverDrained(): void {
    stream.resume()
  }

  function senderEnded(): void {
    const isWhole = senderBody.isWhole() && (total === undefined || received === total)
    if (!isWhole) {
      senderClosed()
      return
    }
    isSenderDone = true
    writeHead()
    // Node would close the whole connection after the last byte; closing our half alone lets the receiver
    // answer with its own: a FIN when it has read everything, a reset when it has not.
    receiverConnection.destroySoon = () => {
      // Node has ended it already where the receiver's own end came first, and our last bytes found it closed.
      isEndWritten = receiverConnection.writable
      receiverConnection.end()
    }
    receiverConnection.once('finish', awaitConfirmation)
    addLength(receiverResponse, received)
    receiverResponse.end()
  }

  function awaitConfirmation(): void {
    // It also comes when Node answers a receiver that left early: that one is about to close.
    if (!isEndWritten) return
    receiverConnection.setTimeout(0)
    confirmation = setTimeout(() => {
      end({ input: 'delivered', confirmed: false })
      receiverConnection.destroy()
    }, CONFIRM_MS)
  }

  function senderClosed(): void {
    if (isSenderDone) return
    end({ input: 'sender-lost', detail: `the sender disconnected after ${received} bytes` })
  }

  function senderFailed(error: Error): void {
    // What a form's parser found; everything else is a connection that broke.
    const isFormBroken =
      error instanceof EssError && (error.code === 'bad-request' || error.code === 'no-file-in-form')
    if (isFormBroken) end({ input: error.code, detail: error.message })
    else senderClosed()
  }

  function receiverClosed(hadError: boolean): void {
    // A receiver that counts for itself may close its half before our end of the body is out.
    const isAtEnd = isEndWritten || (total !== undefined && total > 0 && received === total)
    const isConfirmed = isAtEnd && handedOn === received && !hadError && receiverConnection.readableEnded
    if (isConfirmed) end({ input: 'delivered', confirmed: true })
    else end({ input: 'receiver-lost', detail: `the receiver disconnected after ${handedOn} bytes` })
  }

  function stalled(): void {
    const who = pending.length > 0 ? 'receiver took' : 'sender sent'
    end({ input: 'stalled', detail: `the ${who} nothing for ${formatDuration(stallTimeoutMs / 1000)}` })
  }

  function writeHead(): void {
    if (isHeadWritten) return
    isHeadWritten = true
    clearTimeout(heldHead)
    options.writeHead()
  }

  function end(how: TransferEnd): void {
    unhook()
    resolve(how)
  }

  function unhook(): void {
    clearTimeout(heldHead)
    clearTimeout(confirmation)
    stream.off('data', forward).off('end', senderEnded).off('close', senderClosed).off('error', senderFailed)
    // Nobody listens any more, and a broken connection is no reason to crash.
    stream.on('error', () => undefined)
    receiverResponse.off('drain', receiverDrained).off('timeout', stalled)
    receiverConnection.off('close', receiverClosed).off('finish', awaitConfirmation)
    receiverConnection.setTimeout(0)
  }
}
