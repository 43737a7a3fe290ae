import { expect, test } from 'vitest'
import { requestHead } from '../../../helpers/http-exchange.js'
import { connectRaw } from '../../../helpers/raw-peer.js'
import { setTimings } from '../../../helpers/timings.js'
import { expectSenderFailed, openSender, serve } from '../../serve.js'

test.each([
  ['curl/8.17.0', 'hello'],
  ['Wget/1.21.3', 'hello'],
  ['curl/8.17.0', 'x'],
])('%s, which closes when it has read %j but for its last byte, is lost', async (agent, file) => {
  // On a busy machine this peer isn't as quick to leave as they are.
  setTimings({ lastByteMs: 500 })
  const served = await serve()
  const sender = await openSender(served.port, { length: file.length })
  await sender.write(file)
  const receiver = await connectRaw(served.port)
  await receiver.write(requestHead(`GET /${sender.id}`, { 'User-Agent': agent }))
  // With the last byte in the same segment this is never seen.
  await receiver.until(new RegExp(`\\r\\n\\r\\n${file.slice(0, -1)}$`))
  receiver.end()
  await expectSenderFailed(sender, 'receiver-lost')
})

test.each([
  ['curl/8.17.0', 5],
  ['curl/8.17.0', 0],
  ['python-requests/2.32', 5],
])('%s gets a whole file of %d bytes', async (agent, length) => {
  const served = await serve()
  const sender = await openSender(served.port, { length })
  await sender.write('hello'.slice(0, length))
  const receiver = await connectRaw(served.port)
  await receiver.write(requestHead(`GET /${sender.id}`, { 'User-Agent': agent }))
  expect(await receiver.ending()).toBe('fin')
  expect(receiver.text()).toMatch(new RegExp(`\\r\\n\\r\\n${'hello'.slice(0, length)}$`))
  receiver.end()
  await sender.until(new RegExp(`"delivered","bytes":${length},"confirmed":true`))
})
