import { type RawConnection, rawServer } from './client-raw-server.js'
import { downloadHead, ID } from './client-wire.js'

/** How a scripted server gives a body: with its length beforehand, or in chunks with the length behind them. */
export type Framing = 'known' | 'chunked'

/** What a scripted server offers. */
export interface Lie {
  /** The value of Ess-Sealed in the answer to HEAD, and to GET. */
  readonly note?: string | undefined
  readonly noteOfGet?: string | undefined
  readonly body: Buffer
  readonly framing: Framing
  /** The server breaks off the first answers behind these offsets of the body; the last answer is whole. */
  readonly cuts?: readonly number[]
  /** The Content-Length that HEAD tells, where it isn't that of the body. */
  readonly lengthOfHead?: number
}

/** A server that says what a test wants, and notes what it was asked. */
export interface LyingServer {
  readonly url: string
  /** Each request's method, and the offset that it asks for. */
  readonly asked: readonly string[]
  /** The heads of all requests. */
  readonly heads: readonly string[]
  /** How the connection of the last GET ended. A FIN is the receiver's word that it has it all. */
  lastEnding(): Promise<'fin' | 'rst'>
}

/** Starts it; closed when the test is over. Its sender could go back to any byte. */
export async function lyingServer(lie: Lie): Promise<LyingServer> {
  const server = await rawServer()
  const asked: string[] = []
  const heads: string[] = []
  const cuts = [...(lie.cuts ?? [])]
  let last: RawConnection | undefined
  let isOver = false

  async function answer(connection: RawConnection): Promise<void> {
    const [head = '', method = ''] = await connection.until(/^(\w+) [\s\S]*?\r\n\r\n/)
    heads.push(head)
    const [, range, offset = range] = /\r\nrange: bytes=(\d+)-|\r\ness-offset: (\d+)/i.exec(head) ?? []
    asked.push(offset === undefined ? method : `${method} ${offset}`)
    if (method === 'DELETE') return connection.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    if (method === 'HEAD')
      return connection.end(downloadHead(...headersOf(lie, 0, lie.note, lie.lengthOfHead)))
    last = connection
    const from = Number(offset ?? 0)
    const fields = headersOf(lie, from, lie.noteOfGet ?? lie.note)
    if (range === undefined) connection.write(downloadHead(...fields))
    else {
      fields.push(`Content-Range: bytes ${from}-${lie.body.length - 1}/${lie.body.length}`)
      connection.write(downloadHead(...fields).replace('200 OK', '206 Partial Content'))
    }
    await give(connection, lie, from, cuts.shift())
  }

  void (async () => {
    for (;;) {
      const connection = await server.accept()
      void answer(connection).catch(() => {}) // A receiver may leave at any time.
    }
  })().catch(() => {
    isOver = true
  })
  return {
    url: server.url,
    asked,
    heads,
    lastEnding: () => {
      if (last === undefined || isOver) throw new Error('Expected a GET')
      return last.ending()
    },
  }
}

function headersOf(
  { body, framing }: Lie,
  from: number,
  note: string | undefined,
  length = body.length - from,
): string[] {
  const size =
    framing === 'known'
      ? [`Content-Length: ${length}`, 'Accept-Ranges: bytes']
      : ['Transfer-Encoding: chunked', 'Trailer: Ess-Length', `Ess-Offset: ${from}`]
  const sealed = note === undefined ? [] : [`Ess-Sealed: ${note}`]
  return [...size, ...sealed, `Content-Disposition: attachment; filename="${ID}.age"`]
}

/** Writes the body from an offset on, up to `cut` or its end. */
async function give(
  connection: RawConnection,
  { body, framing }: Lie,
  from: number,
  cut: number | undefined,
): Promise<void> {
  const piece = body.subarray(from, cut)
  if (framing === 'known') connection.write(piece)
  else if (piece.length > 0) {
    connection.write(`${piece.length.toString(16)}\r\n`)
    connection.write(piece)
    connection.write('\r\n')
  }
  if (cut !== undefined) {
    // A reset that comes at once would overtake the bytes.
    await new Promise((resolve) => setTimeout(resolve, 100))
    return connection.reset()
  }
  connection.end(framing === 'known' ? '' : `0\r\nEss-Length: ${body.length - from}\r\n\r\n`)
}
