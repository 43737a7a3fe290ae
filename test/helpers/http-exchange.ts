import { connectRaw } from './raw-peer.js'

/** An HTTP answer as it was on the wire. */
export interface Answer {
  readonly status: number
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** A character a byte; without the framing of a chunked body. */
  readonly body: string
}

/**
 * Writes one request, byte for byte, and reads until the server ends the connection; so it should say
 * `Connection: close` where the server would not close by itself.
 */
export async function exchange(
  port: number,
  request: string,
  options?: Parameters<typeof connectRaw>[1],
): Promise<Answer> {
  const peer = await connectRaw(port, options)
  await peer.write(request)
  const ending = await peer.ending()
  // Closing in good order is what tells the server that a download has arrived.
  peer.end()
  if (peer.text() === '') throw new Error(`The server ended the connection (${ending}) without an answer`)
  return parseAnswer(peer.text())
}

/** A request without a body, ready to be written. */
export function requestHead(
  methodAndPath: string,
  headers: Readonly<Record<string, string>> = {},
  version = 'HTTP/1.1',
): string {
  const all = { Host: 'localhost', Connection: 'close', ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${`${methodAndPath} ${version}`.trimEnd()}\r\n${lines.join('')}\r\n`
}

/** Reads the whole text of an answer; throws when it is not HTTP, or its chunked body has no end. */
export function parseAnswer(text: string): Answer {
  const [, status, head, rest] =
    /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n(.*)$/s.exec(text) ?? []
  if (status === undefined || head === undefined || rest === undefined)
    throw new Error(`Expected an HTTP answer, got ${JSON.stringify(text.slice(0, 500))}`)
  const headers = Object.fromEntries(
    head
      .split('\r\n')
      .slice(0, -1)
      .map((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
  )
  const isChunked = headers['transfer-encoding'] === 'chunked'
  return { status: Number(status), headers, body: isChunked ? unchunk(rest) : rest }
}

/** The bytes of a whole body in the chunked form, a character a byte. Throws if it has no end. */
export function unchunk(text: string): string {
  let body = ''
  for (let rest = text; ; ) {
    const [line = '', size] = /^([0-9a-f]+)\r\n/i.exec(rest) ?? []
    if (size === undefined) throw new Error(`A chunked body ends without its last chunk: ${text}`)
    if (Number.parseInt(size, 16) === 0) return body
    const end = line.length + Number.parseInt(size, 16)
    body += rest.slice(line.length, end)
    rest = rest.slice(end + 2)
  }
}
