import { describe, expect, test } from 'vitest'
import { certificate } from '../../helpers/certificate.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { speakTls } from '../../helpers/raw-peer.js'
import { until } from '../../helpers/within.js'
import { eventsOf, openSender, untilEnded } from '../serve.js'
import {
  COMES_BACK,
  FILE,
  GOES_BACK,
  goOn,
  head,
  LENGTH,
  LONG_DRAIN_MS,
  midway,
  receive,
  reopen,
  type Three,
  three,
  untilBusy,
  uploadOf,
  whole,
} from './moving.js'

/** All of a transfer's requests come to the wrong node, and are carried. */
describe.each(['http/1.1', 'h2'] as const)('by TLS (%s)', (speech) => {
  async function speaking(): Promise<Three> {
    const { path: certFile, keyPath: keyFile } = await certificate()
    const nodes = await three({}, { tls: { certFile, keyFile } })
    for (const { port } of Object.values(nodes)) speakTls(port, speech)
    return nodes
  }

  test('a transfer under way goes on at another node', async () => {
    const { a, b, c } = await speaking()
    const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
    const receiver = await receive(c.port, sender.id, COMES_BACK)
    await sender.until(/"connected"/)
    await sender.write(FILE.slice(0, 5))
    await receiver.until(/01234$/)
    void a.broker.stop(LONG_DRAIN_MS)
    expect(await sender.ending()).toBe('fin')
    expect(eventsOf(sender).at(-1)).toEqual({ event: 'moved' })
    expect(await receiver.ending()).toBe('rst')

    const upload = uploadOf(sender)
    expect((await head(c.port, upload)).status).toBe(503)
    const back = await receive(c.port, sender.id, { Range: 'bytes=5-' })
    await until('it is held', () => c.broker.counts().awaiting === 1)
    const again = await reopen(b.port, upload, sender.id, { ...LENGTH, ...midway(5) })
    await untilBusy(b, sender.id)
    const rest = await goOn(c.port, again, 5)
    expect(await whole(back)).toMatchObject({ status: 206, body: FILE.slice(5) })
    await rest.until(/^HTTP\/1\.1 200 /)
    expect(await untilEnded(b)).toMatchObject([{ outcome: 'delivered', bytes: 10 }])
  })

  test('a receiver that leaves while it is held uses nothing up', async () => {
    const { a, b, c } = await speaking()
    const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
    void a.broker.stop(LONG_DRAIN_MS)
    await sender.ending()
    const receiver = await receive(c.port, sender.id)
    await until('it is held', () => c.broker.counts().awaiting === 1)
    receiver.reset()
    await until('it has left', () => c.broker.counts().awaiting === 0)
    const again = await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
    const late = await receive(c.port, sender.id)
    await goOn(c.port, again, 0)
    expect(await whole(late)).toMatchObject({ status: 200, body: FILE })
  })

  test('a link that another node has is not opened again, and that node answers', async () => {
    const { a, b } = await speaking()
    const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
    expect(await reopen(b.port, uploadOf(sender), sender.id, LENGTH)).toBe(uploadOf(sender))
    expect(b.broker.counts().sockets).toBe(0)
    expect((await exchange(b.port, requestHead(`HEAD /${sender.id}`))).status).toBe(200)
  })
})
