import { randomInt } from 'node:crypto'

const KIB = 1024

/** `bytes` in chunks of any size, the sizes in any form. */
export function framed(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const chunk = bytes.subarray(at, at + randomInt(1, 200 * KIB))
    const extension = randomInt(4) === 0 ? ';name=value' : ''
    const zeros = randomInt(4) === 0 ? '00000000000000000' : ''
    parts.push(
      Buffer.from(`${zeros}${chunk.length.toString(16)}${extension}\r\n`),
      chunk,
      Buffer.from('\r\n'),
    )
    at += chunk.length
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')])
}

/** What a chunked answer holds. Its sizes have to be plain: some receivers fail on valid extensions. */
export function unframed(body: string): string {
  let bytes = ''
  for (let at = 0; ; ) {
    const end = body.indexOf('\r\n', at)
    const line = body.slice(at, end)
    const size = /^(?:0|[1-9a-f][0-9a-f]*)$/i.test(line) ? Number.parseInt(line, 16) : Number.NaN
    if (!(size > 0)) return size === 0 && body.slice(end) === '\r\n\r\n' ? bytes : `${bytes} and no end`
    bytes += body.slice(end + 2, end + 2 + size)
    at = end + 2 + size + 2
  }
}
