import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { ess } from '../helpers/client-io.js'
import { rawServer } from '../helpers/client-raw-server.js'
import { LAST_CHUNK, openUpload, tell } from '../helpers/client-wire.js'

test('what the receiver has not confirmed is no success for a script', async () => {
  const server = await rawServer()
  const run = ess(['send', '--server', server.url], { stdin: new PassThrough().end('piped') })
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  await connection.until(/0\r\n\r\n$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: false })
  connection.end(LAST_CHUNK)
  expect(await run.status).toBe(7)
  expect(run.stderr()).toBe(
    'ess: unconfirmed: all 5 bytes went out, but the receiver has not said that it has them\n',
  )
})

test.each([
  {
    what: 'breaks in the packet that began it',
    answer:
      'HTTP/1.1 201 Created\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  },
  {
    what: 'is an upgrade',
    answer: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  },
])('an answer that $what ends with a status of ours', async ({ answer }) => {
  const server = await rawServer()
  const run = ess(['send', '--server', server.url], { stdin: new PassThrough().end('piped') })
  const connection = await server.accept()
  await connection.until(/\r\n\r\n/)
  connection.write(answer)
  expect(await run.status).toBe(6)
  expect(run.stderr()).toMatch(/^ess: not-ess: .*\n$/)
})

test.each(['chunked, gzip', 'x-chunked', 'identity;chunked'])(
  'a download in the transfer coding %s proves nothing by its end',
  async (coding) => {
    const server = await rawServer()
    const run = ess(['get', `${server.url}/AbCdEfGhIjKl`, '-o', '-'])
    const connection = await server.accept()
    await connection.until(/\r\n\r\n/)
    connection.end(
      `HTTP/1.1 200 OK\r\nETag: "AbCdEfGhIjKl"\r\nContent-Disposition: attachment\r\nTransfer-Encoding: ${coding}\r\n\r\nhello`,
    )
    expect(await run.status).toBe(5)
    expect(run.stderr()).toMatch(/^ess: incomplete: /)
  },
)
