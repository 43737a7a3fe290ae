import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createService, listen } from '../../server/index.js'
import { certificate } from '../helpers/certificate.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer, speakTls } from '../helpers/raw-peer.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'
import { chunk, LAST_CHUNK, openReceiver, senderHead, serve, untilEnded } from './serve.js'

const FORM = `--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhello\r\n--b--\r\n`

/** Heads and bodies of senders whose file is whole when they close their half. */
const BODIES: readonly (readonly [what: string, head: string, body: string, bytes: number])[] = [
  ...[0, 1, 1000, 20_000, 100_000].map(
    (length) => [`of ${length} bytes`, senderHead({ length }), 'x'.repeat(length), length] as const,
  ),
  ...[5, 100_000].map((length) => {
    const body = `${chunk('x'.repeat(length))}${LAST_CHUNK}`
    return [`of ${length} bytes in chunks`, senderHead(), body, length] as const
  }),
  [
    'in a form',
    senderHead({ length: FORM.length, headers: { 'Content-Type': 'multipart/form-data; boundary=b' } }),
    FORM,
    5,
  ],
]

/** Asks for the file of this sender. */
async function receive(port: number, sender: RawPeer): Promise<RawPeer> {
  const [, id] = await sender.until(/"id":"([^"]+)"/)
  return await openReceiver(port, `/${id}`)
}

async function expectDelivered(sender: RawPeer, receiver: RawPeer, bytes: number): Promise<void> {
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  await sender.until(
    new RegExp(`"event":"delivered","bytes":${bytes},"confirmed":true\\}\\n\\r\\n0\\r\\n\\r\\n$`),
  )
  // Nothing more can come from it, so the connection has ended too.
  expect(await sender.ending()).toBe('fin')
}

describe('a sender that closes its half after its file', () => {
  test.each(BODIES)('%s reads its verdict', async (_what, head, body, bytes) => {
    const { port } = await serve()
    const sender = await connectRaw(port)
    await sender.write(head)
    // A form has its link when its file was found.
    if (body === FORM) await sender.write(body)
    const receiver = await receive(port, sender)
    await sender.until(/"connected"/)
    if (body !== FORM) await sender.write(body)
    sender.end()
    await expectDelivered(sender, receiver, bytes)
  })

  test.each(BODIES)(
    '%s, all in one, before a receiver comes, reads its verdict too',
    async (_what, head, body, bytes) => {
      const { port } = await serve()
      const sender = await connectRaw(port)
      await sender.write(head + body)
      sender.end()
      await expectDelivered(sender, await receive(port, sender), bytes)
    },
  )

  // A gear that was asked for takes the connection, and ends it.
  test.runIf((process.env['ESS_RELAY'] ?? 'auto') === 'auto').each(hosts())(
    'reads it in %s, however often its connection was used',
    async (_host, start) => {
      const port = await start()
      const sender = await connectRaw(port)
      for (let round = 0; round < 12; round++) {
        const before = sender.text().length
        await sender.write(`${senderHead({ length: 3, headers: { Connection: 'keep-alive' } })}abc`)
        if (round === 11) sender.end()
        await until('another link', () => sender.text().slice(before).includes('"opened"'))
        const [, id] = /"id":"([^"]+)"/.exec(sender.text().slice(before)) ?? []
        const receiver = await openReceiver(port, `/${id}`)
        await receiver.ending()
        receiver.end()
        await until('the verdict', () => /"delivered".*0\r\n\r\n$/s.test(sender.text().slice(before)))
      }
      expect(await sender.ending()).toBe('fin')
    },
  )

  test('and before its file is whole is lost, and reads so', async () => {
    const served = await serve()
    const sender = await connectRaw(served.port)
    await sender.write(`${senderHead({ length: 4 })}abc`)
    sender.end()
    await sender.until(/urn:ess:problem:sender-lost/)
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'sender-lost' }])
  })

  test('and has really left is lost, though it left in good order', async () => {
    // What is written to it shows that it has left; behind a proxy, what is written after that.
    const served = await serve({ heartbeat: 0.2 })
    const sender = await connectSocket(served.port)
    let text = ''
    sender.setEncoding('latin1').on('data', (words: string) => {
      text += words
    })
    sender.write(`${senderHead({ length: 3 })}abc`)
    // With a byte unread, its kernel would reset the connection at once.
    await until('it has read its link', () => text.includes('"opened"'))
    sender.destroy()
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'sender-lost' }])
  })
})

describe('an upload to a reservation that closes its half', () => {
  test('reads its verdict when its receiver is there', async () => {
    const { port } = await serve({ reservations: true })
    const { url, upload } = await reserve(port)
    const receiver = await openReceiver(port, url)
    const sender = await connectRaw(port)
    await sender.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '3' })}abc`)
    await receiver.until(/\r\n\r\nabc$/)
    sender.end()
    receiver.end()
    await sender.ending()
    expect(parseAnswer(sender.text())).toMatchObject({ status: 200, body: '# delivered: 3 bytes\n' })
  })

  test('reads that it counts as lost when none is', async () => {
    const served = await serve({ reservations: true })
    const { upload } = await reserve(served.port)
    const sender = await connectRaw(served.port)
    await sender.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '3' })}abc`)
    sender.end()
    await sender.ending()
    expect(parseAnswer(sender.text())).toMatchObject({
      status: 502,
      body: 'The sender closed its side of the connection while it waited for a receiver. Send the file again, and keep the sender running. [sender-lost]\n',
    })
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'sender-lost' }])
  })
})

/** The paths of a new reservation. */
async function reserve(port: number): Promise<{ url: string; upload: string }> {
  const answer = await exchange(port, requestHead('POST /reserve', { Accept: 'application/json' }))
  // docs/protocol.md says what a reservation is as JSON.
  const { url, upload } = JSON.parse(answer.body) as { url: string; upload: string }
  return { url: new URL(url).pathname, upload: new URL(upload).pathname }
}

/** Servers of ours and of others: whether a connection stays half open is set for each of them otherwise. */
function hosts(): (readonly [string, () => Promise<number>])[] {
  return [
    ['a server of ours', async () => (await serve()).port],
    [
      'a server of ours with TLS',
      async () => {
        const { path: certFile, keyPath: keyFile } = await certificate()
        const server = await listen(createService(), { port: 0, tls: { certFile, keyFile } })
        onTestFinished(() => within(DEADLINE_MS, 'the server stops', server.stopNow()))
        speakTls(server.port)
        return server.port
      },
    ],
    ["a server of Node's", () => hosted(createHttpServer(createService().handler))],
    [
      "a server of Node's with TLS",
      async () => {
        const port = await hosted(createHttpsServer(await certificate(), createService().handler))
        speakTls(port)
        return port
      },
    ],
  ]
}

async function hosted(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  // A server that listens on TCP has this kind of address.
  return (server.address() as AddressInfo).port
}

/** A peer that can leave as a program that exits does: both directions at once, by a FIN. */
async function connectSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await within(DEADLINE_MS, 'the peer connects', new Promise((resolve) => socket.once('connect', resolve)))
  return socket
}
