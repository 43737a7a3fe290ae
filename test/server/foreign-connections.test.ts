import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Server, Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createService, type SocketStats } from '../../server/index.js'
import { certificate } from '../helpers/certificate.js'
import { requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { connectRaw, speakTls } from '../helpers/raw-peer.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'
import { eventsOf, openSender, senderHead } from './serve.js'

beforeEach((context) => needs(context, 'openssl'))

const BODY = 'x'.repeat(1000)

/** A service in a server of the embedder's, which listens where it is told to. */
async function embed(isTls: boolean, path?: string, prepare: (server: Server) => void = () => undefined) {
  const service = createService()
  const ends: SocketStats[] = []
  for (const event of ['socket:end', 'error:socket'] as const) {
    service.on(event, (_socket, stats) => ends.push(stats))
  }
  const server = isTls
    ? createHttpsServer(await certificate(), service.handler)
    : createHttpServer(service.handler)
  prepare(server)
  const where = path === undefined ? { port: 0, host: '127.0.0.1' } : { path }
  await new Promise<void>((resolve) => server.listen(where, resolve))
  onTestFinished(async () => {
    service.stopNow()
    server.closeAllConnections()
    await within(DEADLINE_MS, 'it closes', new Promise((resolve) => server.close(resolve)))
  })
  return { server, ends }
}

async function embedHttps(prepare?: (server: Server) => void) {
  const { server, ends } = await embed(true, undefined, prepare)
  // A server that listens on TCP has this kind of address.
  const { port } = server.address() as AddressInfo
  speakTls(port)
  return { port, ends }
}

describe.each([
  { what: 'a UNIX socket', isTls: false },
  { what: 'TLS on a UNIX socket', isTls: true },
])('a service on $what', ({ isTls }) => {
  /** What came of a request so far. */
  function say(path: string, words: string) {
    const carrier = connect(path)
    const socket = isTls ? connectTls({ socket: carrier, rejectUnauthorized: false }) : carrier
    onTestFinished(() => void carrier.destroy())
    let text = ''
    let isOver = false
    socket
      .on('data', (bytes) => {
        text += bytes.toString('latin1')
      })
      .on('close', () => {
        isOver = true
      })
      .on('error', () => undefined)
    socket.write(words)
    return { socket, text: () => text, isOver: () => isOver }
  }

  async function begin(path: string) {
    const sender = say(path, senderHead({ length: BODY.length }))
    const id = await until('there is a link', () => /"id":"([^"]+)"/.exec(sender.text())?.[1])
    const receiver = say(path, requestHead(`GET /${id}`))
    await until('the receiver is there', () => sender.text().includes('"connected"'))
    return { sender, receiver }
  }

  test('cuts the download of a sender that is lost, and serves the next one', async () => {
    const path = join(await tempDir(), 'ess.sock')
    const { ends } = await embed(isTls, path)
    const lost = await begin(path)
    lost.sender.socket.write(BODY.slice(1))
    await until('a part is there', () => lost.receiver.text().endsWith(BODY.slice(1)))
    lost.sender.socket.destroy()
    await until('the download is over', lost.receiver.isOver)
    expect(lost.receiver.text().endsWith(`\r\n\r\n${BODY.slice(1)}`)).toBe(true)

    const next = await begin(path)
    next.sender.socket.write(BODY)
    await until('all is there', () => next.receiver.text().endsWith(`\r\n\r\n${BODY}`))
    next.receiver.socket.destroy()
    await until('the verdict is there', () => next.sender.text().includes('"delivered"'))
    expect(ends.map(({ outcome }) => outcome)).toEqual(['sender-lost', 'delivered'])
  })
})

test('a download that fails in an https server of the embedder’s is reset', async () => {
  const { port } = await embedHttps()
  const sender = await openSender(port, { length: BODY.length })
  const receiver = await connectRaw(port)
  await receiver.write(requestHead(`GET /${sender.id}`))
  await sender.until(/"connected"/)
  await sender.write(BODY.slice(1))
  await receiver.until(/\r\n\r\nx{999}$/)
  sender.reset()
  expect(await receiver.ending()).toBe('rst')
})

describe('where Node hides what carries TLS', () => {
  /** What Node itself uses of it when it closes a connection, and nothing that we know. */
  const hide = (server: Server) =>
    server.prependListener('secureConnection', ({ _handle }: TLSSocket & { _handle: object }) => {
      const real = Reflect.get(_handle, '_parentWrap')
      expect(real).toBeInstanceOf(Socket)
      const stranger = {
        get _handle() {
          return real._handle
        },
        once: real.once.bind(real),
        destroy: real.destroy.bind(real),
      }
      Object.defineProperty(_handle, '_parentWrap', { value: stranger })
    })

  test.each([
    { how: 'closes', outcome: 'delivered' },
    { how: 'resets', outcome: 'receiver-lost' },
  ] as const)('the receiver is the one to end, and when it $how it is $outcome', async ({ how, outcome }) => {
    const { port, ends } = await embedHttps(hide)
    const sender = await openSender(port, { length: BODY.length })
    const receiver = await connectRaw(port)
    await receiver.write(requestHead(`GET /${sender.id}`))
    await sender.until(/"connected"/)
    await sender.write(BODY)
    await receiver.until(/\r\n\r\nx{1000}$/)
    if (how === 'closes') receiver.end()
    else receiver.reset()
    await sender.ending()
    expect(eventsOf(sender).at(-1)?.event).toBe(outcome === 'delivered' ? 'delivered' : 'failed')
    expect(ends).toMatchObject([{ outcome, confirmed: outcome === 'delivered' }])
  })
})
