import { describe, expect, test } from 'vitest'
import { connectRaw, type RawPeer } from '../../../helpers/raw-peer.js'
import {
  bodyOf,
  connectReceiver,
  eventsOf,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type Served,
  senderHead,
  serve,
} from '../../serve.js'

const hello = (line: string) => `${line}\r\nhello\r\n${LAST_CHUNK}`
const endedBy = (end: string) => `5\r\nhello\r\n${end}`

/** Bodies of a sender's, all of them 'hello'. */
const TAKEN = [
  ['no extension', hello('5')],
  ['an extension', hello('5;name=value')],
  ['quotes in it', hello('5;a="b \\" c";d')],
  ['a long one', hello(`5;${'x'.repeat(3000)}`)],
  ['zeros before its size', hello('005')],
  ['twenty zeros', hello(`${'0'.repeat(20)}5`)],
  ['an extension of the last chunk', endedBy('0;a=b\r\n\r\n')],
  ['many zeros at its end', endedBy(`${'0'.repeat(20)}\r\n\r\n`)],
  ['a trailer', endedBy('0\r\nDigest: a\r\nB:\r\n\r\n')],
] as const

/** White space that a recipient has to read over (RFC 9112, 7.1.1); Node's parser refuses it. */
const SPACED = [
  ['a space', hello('5; x=y')],
  ['a space before the semicolon', hello('5 ;x=y')],
  ['tabs', hello('5\t;\tx\t=\t"y"')],
] as const

const REFUSED = [
  ['an extension without a name', hello('5;')],
  ['quotes that are open', hello('5;a="b')],
  ['bytes that are no token', hello('5;\xff')],
  ['extensions without end', hello(`5;${'x'.repeat(20_000)}`)],
  ['a space behind its size', hello('5 ')],
  ['a bare LF behind its size', '5\nhello\r\n0\r\n\r\n'],
  ['a second CR behind its size', hello('5\r')],
  ['a bare LF behind its data', '5\r\nhello\n0\r\n\r\n'],
  ['a bare LF behind the last size', endedBy('0\n\r\n')],
  ['a bare LF at its end', endedBy('0\r\n\n')],
  ['a sign', hello('+5')],
  ['a prefix', hello('0x5')],
  ['an empty line first', `\r\n${hello('5')}`],
  ['a folded trailer', endedBy('0\r\nA: b\r\n c\r\n\r\n')],
  ['a length in its trailer', endedBy('0\r\nContent-Length: 5\r\n\r\n')],
  ['a transfer coding in its trailer', endedBy('0\r\nTransfer-Encoding: chunked\r\n\r\n')],
] as const

/** Behind the head, when a receiver has come: below Node's parser. */
async function sendLater({ port }: Served, body: string): Promise<[RawPeer, RawPeer]> {
  const sender = await openSender(port)
  const receiver = await connectReceiver(port, sender)
  await sender.write(Buffer.from(body, 'latin1'))
  return [sender, receiver]
}

/** In one segment with the head, so by Node's parser. */
async function sendAtOnce({ port }: Served, body: string): Promise<RawPeer> {
  const sender = await connectRaw(port)
  await sender.write(Buffer.from(senderHead() + body, 'latin1'))
  return sender
}

async function expectHello(sender: RawPeer, receiver: RawPeer): Promise<void> {
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  await sender.until(/"event":"delivered","bytes":5/)
  expect(bodyOf(receiver)).toBe(`5\r\nhello\r\n${LAST_CHUNK}`)
}

describe.each(['streams', 'sockets'] as const)('by %s, a body in chunks with', (relay) => {
  test.each([...TAKEN, ...SPACED])(
    '%s, behind its head, has plain framing for the receiver',
    async (_, body) => {
      const served = await serve({ relay })
      await expectHello(...(await sendLater(served, body)))
    },
  )

  test.each(TAKEN)('%s, in one segment with its head, is the same', async (_, body) => {
    const served = await serve({ relay })
    const sender = await sendAtOnce(served, body)
    const [, id] = await sender.until(/"id":"([^"]+)"/)
    await expectHello(sender, await openReceiver(served.port, `/${id}`))
  })

  test.each(REFUSED)('%s fails on both sides', async (_, body) => {
    const [sender, receiver] = await sendLater(await serve({ relay }), body)
    await sender.until(/urn:ess:problem:bad-request/)
    expect(eventsOf(sender).at(-1)?.event).toBe('failed')
    await receiver.ending()
    expect(receiver.text()).not.toMatch(/0\r\n\r\n$/)
  })
})

test.each([...REFUSED, ...SPACED])(
  'a body with %s, in one segment with its head, is refused before its link works',
  async (_, body) => {
    const served = await serve()
    const sender = await sendAtOnce(served, body)
    await sender.ending()
    expect(sender.text()).toMatch(/^HTTP\/1\.1 400 |urn:ess:problem:bad-request/)
    expect(served.service.sockets()).toEqual([])
  },
)
