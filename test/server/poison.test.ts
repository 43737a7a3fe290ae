import { expect, test } from 'vitest'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { connectReceiver, expectSenderFailed, openSender, serve } from './serve.js'

/** What a terminal would obey, or a person would not see; `text` is as it was on the wire. */
function obeyedIn(text: string): string[] {
  return [...Buffer.from(text, 'latin1').toString()].filter(
    (character) => character !== '\n' && /[\p{Cc}\u200b-\u200f\u202a-\u202e]/u.test(character),
  )
}

test.each(['streams', 'sockets'] as const)(
  'what a sender says in its framing is not obeyed by the terminal of its receiver, by %s',
  async (relay) => {
    const { port } = await serve({ relay })
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    await sender.write('\x9b31m\r\n')
    await receiver.ending()
    const { status, body } = parseAnswer(receiver.text())
    expect({ status, body }).toEqual({ status: 502, body: expect.stringMatching(/ \[sender-lost\]\n$/) })
    expect(obeyedIn(body)).toEqual([])
    await expectSenderFailed(sender, 'bad-request')
    expect(obeyedIn(/"failed".*/.exec(sender.text())?.[0] ?? '')).toEqual([])
  },
)

test.each([{ Accept: '*/*' }, { Accept: 'application/problem+json' }, BROWSER])(
  'a refusal quotes nothing that a terminal would obey, to %j',
  async (says) => {
    const { port } = await serve()
    const { id } = await openSender(port, { length: 0 })
    for (const [headers, refused] of [
      [{ Host: 'a\x9b31m', Range: 'x' }, 400],
      [{ Range: 'bytes=\x9b31m\xe2\x80\xae' }, 409],
      [{ Expect: '\x9b31m' }, 417],
    ] as const) {
      // The button's method, for which a browser gets no page of the link.
      const { status, body } = await exchange(port, requestHead(`POST /${id}`, { ...says, ...headers }))
      expect(status).toBe(refused)
      expect(obeyedIn(body)).toEqual([])
    }
  },
)

test.each([
  'evil.example\\',
  'a\x1b[31m',
  'a\x9b',
  'a"b',
  "a'b",
  'a b',
  '<b>',
  'a/../b',
  'x@evil.example',
  '\xe2\x80\xae',
])('a Host of %j is in no URL that anybody is told', async (Host) => {
  const { port } = await serve({ reservations: true })
  for (const target of ['GET /', 'POST /', 'POST /reserve']) {
    const peer = await connectRaw(port)
    await peer.write(requestHead(target, { Host, 'Content-Length': '0' }))
    await peer.until(/\n$/)
    expect(parseAnswer(peer.text())).toMatchObject({
      status: 400,
      body: expect.stringMatching(/ \[bad-request\]\n$/),
    })
  }
})
