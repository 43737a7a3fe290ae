import { describe, expect, test } from 'vitest'
import { PROBLEMS, type ProblemCode } from '../../shared/index.js'
import { type Answer, exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { type Served, serve } from './serve.js'

/** Says exactly these bytes and no more, and reads the one answer; the server ends the connection by itself. */
async function say(server: Served, bytes: string): Promise<Answer> {
  const peer = await connectRaw(server.port)
  await peer.write(bytes)
  await peer.until(/\r\n\r\n/)
  // A request that was taken for whole is followed by the end of ours.
  peer.end()
  await peer.ending()
  return parseAnswer(peer.text())
}

function expectProblem({ status, body }: Answer, code: ProblemCode): void {
  expect({ status, body }).toEqual({
    status: PROBLEMS[code].status,
    body: expect.stringMatching(new RegExp(` \\[${code}\\]\n$`)),
  })
}

/** A sender's request; what `lines` leave open is not there. */
function sends(...lines: readonly string[]): string {
  return `POST / HTTP/1.1\r\nHost: localhost\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
}

const EMPTY_CHUNKED = '0\r\n\r\n'
const CHUNKED = 'Transfer-Encoding: chunked'

describe('a request that two servers could read in two ways is refused:', () => {
  test.each([
    ['a length and chunks', sends('Content-Length: 5', CHUNKED) + EMPTY_CHUNKED],
    ['chunks and a length', sends(CHUNKED, 'Content-Length: 5') + EMPTY_CHUNKED],
    ['two lengths', sends('Content-Length: 5', 'Content-Length: 5')],
    ['two lengths that differ', sends('Content-Length: 5', 'Content-Length: 6')],
    ['a list of lengths', sends('Content-Length: 5, 5')],
    ['a length with a plus', sends('Content-Length: +5')],
    ['a length with a space within', sends('Content-Length: 5 5')],
    ['a length in hexadecimal', sends('Content-Length: 0x5')],
    ['an empty length', sends('Content-Length:')],
    ['a length beyond 64 bits', sends('Content-Length: 18446744073709551617')],
    ['chunked twice', sends(CHUNKED, CHUNKED) + EMPTY_CHUNKED],
    ['chunked twice in a list', sends('Transfer-Encoding: chunked, chunked') + EMPTY_CHUNKED],
    ['a coding after chunked', sends('Transfer-Encoding: chunked, gzip') + EMPTY_CHUNKED],
    ['a coding before chunked', sends('Transfer-Encoding: gzip, chunked') + EMPTY_CHUNKED],
    ['a list that ends in nothing', sends('Transfer-Encoding: chunked,') + EMPTY_CHUNKED],
    ['nearly chunked', sends('Transfer-Encoding: xchunked') + EMPTY_CHUNKED],
    ['chunked in quotes', sends('Transfer-Encoding: "chunked"') + EMPTY_CHUNKED],
    ['chunked after a vertical tab', sends('Transfer-Encoding:\x0bchunked') + EMPTY_CHUNKED],
    ['an empty coding', sends('Transfer-Encoding:') + EMPTY_CHUNKED],
    ['no coding at all', sends('Transfer-Encoding: identity')],
    ['a space before the colon', sends('Transfer-Encoding : chunked') + EMPTY_CHUNKED],
    ['a folded line', sends('X: a', ' b', 'Content-Length: 0')],
    ['a folded coding', sends('Transfer-Encoding:', ' chunked') + EMPTY_CHUNKED],
    ['a folded first line', 'GET /health HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n'],
    ['bare LFs', 'GET /health HTTP/1.1\nHost: x\n\n'],
    ['a bare LF after a field', 'GET /health HTTP/1.1\r\nHost: x\nX: y\r\n\r\n'],
    ['a bare LF as the end', 'GET /health HTTP/1.1\r\nHost: x\r\n\n'],
    ['a bare CR', 'GET /health HTTP/1.1\r\nHost: x\rX: y\r\n\r\n'],
    ['a NUL', sends('X: a\0b', 'Content-Length: 0')],
    ['two hosts', 'GET /health HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n'],
    ['the same host twice', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
  ])('%s', async (_what, bytes) => {
    const server = await serve({ reservations: true })
    expectProblem(await say(server, bytes), 'bad-request')
  })
})

describe('a chunked body that two servers could read in two ways fails, in each gear:', () => {
  const DOUBTFUL = [
    ['a size with a plus', '+5\r\nhello\r\n'],
    ['a size with a prefix', '0x5\r\nhello\r\n'],
    ['a space before the size', ' 5\r\nhello\r\n'],
    ['a size beyond 64 bits', '10000000000000005\r\nhello\r\n'],
    ['a bare LF after the size', '5\nhello\r\n'],
    ['a bare LF after the data', '5\r\nhello\n0\r\n\r\n'],
    ['a bare CR after the size', '5\rX\r\nhello\r\n'],
    ['an empty size', '\r\nhello\r\n'],
    ['a negative size', '-5\r\nhello\r\n'],
  ] as const
  const GEARS = ['streams', 'sockets'] as const
  test.each(GEARS.flatMap((gear) => DOUBTFUL.map(([what, body]) => [gear, what, body] as const)))(
    '%s, %s',
    async (gear, _what, body) => {
      const server = await serve({ relay: gear })
      const sender = await connectRaw(server.port)
      await sender.write(sends(CHUNKED, 'Accept: application/x-ndjson'))
      await sender.until(/"opened"/)
      await sender.write(`1\r\nx\r\n${body}`)
      await sender.until(/"failed","problem":\{"type":"urn:ess:problem:bad-request"/)
    },
  )
})

describe('header fields', () => {
  const filled = (count: number) => Array.from({ length: count }, (_none, at) => `X-${at}: y`)

  test.each([
    ['exactly 100', 98, 201],
    ['one more', 99, 431],
    ['more than Node reads, which leaves out the one that frames the body', 1100, 431],
  ])('of %s', async (_what, count, status) => {
    const server = await serve()
    const peer = await connectRaw(server.port)
    // With Host and Transfer-Encoding: two more.
    await peer.write(sends(...filled(count), CHUNKED))
    await peer.until(new RegExp(`^HTTP/1\\.1 ${status} `))
    if (status === 431) await peer.until(/\r\n\r\n.* \[headers-too-large\]\n$/)
  })

  test.each(['GET /health', 'GET /', 'DELETE /abcdefghijkl', 'GET /abcdefghijkl'])(
    'too many are refused for %s too',
    async (target) => {
      const server = await serve()
      expectProblem(
        await exchange(
          server.port,
          requestHead(target, Object.fromEntries(filled(100).map((line) => [line.split(':')[0] ?? '', 'y']))),
        ),
        'headers-too-large',
      )
    },
  )
})

test.each(['streams', 'sockets', ...(process.platform === 'linux' ? (['splice'] as const) : [])] as const)(
  'a length that no number holds exactly is refused where there is no limit, by %s',
  async (gear) => {
    const server = await serve({ maxUploadBytes: 0, relay: gear })
    for (const length of ['9007199254740992', '1152921504606846976', '18446744073709551615'])
      expectProblem(await say(server, sends(`Content-Length: ${length}`)), 'too-large')
    // The largest that is exact goes through every part of the relay.
    const sender = await connectRaw(server.port)
    await sender.write(sends('Content-Length: 9007199254740991', 'Accept: application/x-ndjson'))
    const [, id = ''] = await sender.until(/"id":"([^"]+)"/)
    const receiver = await connectRaw(server.port)
    await receiver.write(requestHead(`GET /${id}`))
    await sender.until(/"connected"/)
    await sender.write('x'.repeat(100_000))
    // From the end of the head on: a pattern that may begin at any byte takes half a minute.
    await receiver.until(/\r\n\r\nx{100000}$/)
  },
)
