import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createNetServer, type Server as NetServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { beginResponse, fixed } from '../../../server/answer/head.js'
import { exceptFromTimeouts } from '../../../server/node/server-timeouts.js'
import { certificate } from '../../helpers/certificate.js'
import { type Answer, exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, speakTls } from '../../helpers/raw-peer.js'
import { startServerHere } from '../../helpers/start-server-here.js'

test.runIf(process.platform === 'linux')(
  'a connection has no delay and is probed by the kernel, though nobody has said so of it',
  async () => {
    const { port } = await startServerHere()
    const peer = await connectRaw(port)
    await peer.write(requestHead('GET /health', { Connection: 'keep-alive' }))
    await peer.until(/"ok"/)
    const lines = (await readFile('/proc/net/tcp', 'utf8'))
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
    const [own] = lines.filter(
      ([, local, , state]) => local?.endsWith(`:${hex(port)}`) && state === ESTABLISHED,
    )
    const [timer, due = '0'] = own?.[5]?.split(':') ?? []
    expect(timer).toBe(KEEP_ALIVE_TIMER)
    // In hundredths of a second: 30 s, and not the two hours that the kernel would take.
    expect(Number.parseInt(due, 16)).toBeLessThanOrEqual(3000)
  },
)

/** As /proc/net/tcp has them (`net/tcp_states.h`, and proc_net_tcp.txt of the kernel's documentation). */
const ESTABLISHED = '01'
const KEEP_ALIVE_TIMER = '02'

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0')
}

describe("a server's timeouts", () => {
  const NONE = { mayTakeLong: () => false, isInUse: () => false }
  const MAKERS: Readonly<Record<string, (handle: RequestListener) => Promise<NetServer>>> = {
    'node:http': async (handle) => createServer(handle),
    'node:https': async (handle) => createHttpsServer(await certificate(), handle),
    'node:http behind node:net': async (handle) => {
      const server = createServer(handle)
      await listening(server)
      return createNetServer((connection) => void server.emit('connection', connection))
    },
  }

  test.each(Object.entries(MAKERS))('make exceptions in %s', async (name, make) => {
    const could: boolean[] = []
    const server = await make((request, response) => {
      // Here it must work: where a Node has another inside, this says so.
      could.push(exceptFromTimeouts(request, NONE))
      response.end()
    })
    const port = await listening(server)
    if (name === 'node:https') speakTls(port)
    await exchange(port, requestHead('GET /'))
    expect(could).toEqual([true])
  })
})

describe('a head that is given as text', () => {
  const FIXED = fixed({ 'Cache-Control': 'no-store', 'X-Fixed': 'yes' })
  const MORE = { 'X-More': 'also' }
  const UNSAID = { framing: 'chunked', closes: 'unsaid' } as const

  test.each<[string, Parameters<typeof beginResponse>[4], string, string]>([
    ['a known length', { framing: 5, closes: true }, 'hello', 'hello'],
    ['a known length, on a connection that stays', { framing: 5, closes: false }, 'hello', 'hello'],
    ['chunks of Node', { framing: 'chunked', closes: true }, 'hello', 'hello'],
    ['chunks, and an end of the connection without a word', UNSAID, 'hello', 'hello'],
    ['chunks of its own', { framing: 'own chunks', closes: false }, 'hello', '5\r\nhello\r\n0\r\n\r\n'],
  ])('is the one that Node would write, with %s', async (_what, body, plain, framed) => {
    const stored = await answered((response) => {
      const isStored = beginResponse(response, 201, { 'X-Own': 'mine' }, [FIXED, MORE], body)
      // Here it must work: where a Node has another inside, this says so.
      expect(isStored).toBe(true)
      response.end(framed)
    })
    const usual = await answered((response) => {
      const length = typeof body.framing === 'number' ? { 'Content-Length': body.framing } : {}
      const connection = body.closes === true ? { Connection: 'close' } : {}
      if (body.closes === 'unsaid') response.removeHeader('Connection')
      response.writeHead(201, { 'X-Own': 'mine', ...FIXED, ...MORE, ...length, ...connection })
      response.write(plain)
      response.end()
    })
    expect(withoutDate(stored)).toEqual(withoutDate(usual))
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['a field', (response) => response.setHeader('X-Host', 'theirs')],
    [
      'a writeHead of its own',
      (response) => {
        const { writeHead } = response
        // As on-headers has it, which many a middleware is made with.
        response.writeHead = ((status: number, fields: Record<string, string>) =>
          writeHead.call(response, status, { ...fields, 'X-Host': 'theirs' })) as typeof writeHead
      },
    ],
  ])('is left to Node where the host has %s', async (_what, prepare) => {
    const answer = await answered((response) => {
      prepare(response)
      const body = { framing: 'own chunks', closes: false } as const
      expect(beginResponse(response, 201, { 'X-Own': 'mine' }, [FIXED, MORE], body)).toBe(false)
      response.end('hello')
    })
    expect(answer).toMatchObject({
      body: 'hello',
      headers: { 'x-own': 'mine', 'x-fixed': 'yes', 'x-host': 'theirs' },
    })
  })

  test('ends the connection without a word where that is left to Node, too', async () => {
    const { headers } = await answered((response) => {
      response.setHeader('X-Host', 'theirs')
      expect(beginResponse(response, 200, {}, [FIXED, MORE], UNSAID)).toBe(false)
      expect(response).toMatchObject({ _last: true })
      response.end('hello')
    })
    expect(headers).toMatchObject({ 'x-host': 'theirs', 'transfer-encoding': 'chunked' })
    expect(headers).not.toHaveProperty('connection')
  })

  test('is refused where a value would begin another line', async () => {
    const thrown: unknown[] = []
    await answered((response) => {
      try {
        beginResponse(response, 200, { 'X-Own': 'a\r\nX-Evil: b' }, [FIXED, MORE], {
          framing: 0,
          closes: true,
        })
      } catch (error) {
        thrown.push(error)
      }
      response.end()
    })
    expect(thrown).toEqual([expect.objectContaining({ message: expect.stringContaining('X-Own') })])
  })
})

async function answered(answer: (response: ServerResponse) => void): Promise<Answer> {
  const server = createServer({ keepAliveTimeout: 1000 }, (_request, response) => {
    // Nobody asks twice here, and the exchange is over when the connection is.
    response.once('finish', () => setImmediate(() => server.closeIdleConnections()))
    answer(response)
  })
  return await exchange(await listening(server), 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
}

/** The port of a server that listens until the test is over. */
async function listening(server: NetServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  // A server that listens on TCP has this kind of address.
  return (server.address() as AddressInfo).port
}

function withoutDate({ status, headers: { date, ...headers }, body }: Answer): unknown {
  expect(date).toMatch(/ GMT$/)
  return { status, headers, body }
}
