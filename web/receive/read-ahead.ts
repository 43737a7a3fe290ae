import { EssError } from '../../shared/index.js'

const MIB = 1024 * 1024
/**
 * Firefox reads a body as fast as it comes, whatever the page does with it, and keeps the rest in memory. The other
 * browsers read a few megabytes ahead, and then leave the bytes to the network.
 */
const READS_ALL = /\bFirefox\//.test(navigator.userAgent)
/** What may wait in the page. Then the request is ended, and another one asks for the rest when the page has taken that. */
const MOST_BYTES = 64 * MIB
/** Between two of these the page can stop, and show how far it is. */
const SLICE_BYTES = MIB

/** How a body ended: by itself, or because the page has enough for now. */
export type Ending = 'ended' | 'paused'

/**
 * Gives a body as it comes. If `mayPause`, and more comes than the page takes, `pause` is called once, which must end the
 * request, and what has come until then is given. Throws EssError `connection-lost` for a body that broke off.
 */
export async function* piecesOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  mayPause: boolean,
  pause: () => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>, Ending> {
  if (body === null) return 'ended'
  return yield* READS_ALL && mayPause ? readAhead(body, pause) : readOn(body)
}

async function* readOn(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, Ending> {
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await nextOf(reader)
    if (done) return 'ended'
    yield* slicesOf(value)
  }
}

async function* readAhead(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  pause: () => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>, Ending> {
  const reader = body.getReader()
  const waiting: Uint8Array<ArrayBuffer>[] = []
  let waitingBytes = 0
  let isOver = false
  let wake = () => {}
  const reading = (async (): Promise<Ending> => {
    while (waitingBytes < MOST_BYTES) {
      const { done, value } = await nextOf(reader)
      if (done) return 'ended'
      waiting.push(...slicesOf(value))
      waitingBytes += value.length
      wake()
    }
    pause()
    return 'paused'
  })()
  const end = () => {
    isOver = true
    wake()
  }
  // What has come before a cut is given first.
  reading.then(end, end)
  for (;;) {
    const piece = waiting.shift()
    if (piece !== undefined) {
      waitingBytes -= piece.length
      yield piece
    } else if (isOver) return await reading
    else await new Promise<void>((resolve) => (wake = resolve))
  }
}

function* slicesOf(bytes: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES)
}

async function nextOf(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> {
  try {
    return await reader.read()
  } catch (error) {
    // A cut, in whichever words this browser says it.
    throw new EssError('connection-lost', undefined, { cause: error })
  }
}
