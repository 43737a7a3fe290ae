import { expect, onTestFinished, test } from 'vitest'
import { certificate } from '../helpers/certificate.js'
import { requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { connectRaw, speakTls } from '../helpers/raw-peer.js'
import { run } from '../helpers/run.js'
import { startServer, type TestServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { needsProc } from '../helpers/unread.js'

const CHUNKED = { 'Transfer-Encoding': 'chunked' }

/** A sender whose file has no length, and has come as far as this. */
async function beginSending(server: TestServer, part: string) {
  const sender = await connectRaw(server.port)
  await sender.write(requestHead('POST /', CHUNKED))
  const [, path = ''] = await sender.until(/\r\n\r\n.*\r\nhttps?:\/\/[^/]+(\/\S+)\n/s)
  await sender.write(`${part.length.toString(16)}\r\n${part}\r\n`)
  return { sender, path }
}

const SERVERS = [
  { name: 'one process', flags: [] },
  { name: 'one process, by streams', flags: ['--relay', 'streams'] },
  { name: 'one process with TLS', flags: [], isTls: true },
]

test.for(SERVERS)(
  'killed midway, $name resets a download without a length',
  async ({ flags, isTls }, context) => {
    // Only the kernel can do it, and only Linux is asked to.
    needsProc(context)
    if (isTls) needs(context, 'openssl')
    const { path: cert, keyPath } = isTls ? await certificate() : { path: '', keyPath: '' }
    const server = await startServer(
      '--log',
      'off',
      ...flags,
      ...(isTls ? ['--tls-cert', cert, '--tls-key', keyPath] : []),
    )
    if (isTls) speakTls(server.port)
    const { path } = await beginSending(server, 'hello')
    const receiver = await connectRaw(server.port)
    await receiver.write(requestHead(`GET ${path}`))
    await receiver.until(/hello/)
    server.signal('SIGKILL')
    expect(await receiver.ending()).toBe('rst')
  },
)

test('wget says so, too', async (context) => {
  needsProc(context)
  needs(context, 'wget')
  const server = await startServer('--log', 'off')
  const { path } = await beginSending(server, 'hello'.repeat(100_000))
  const cwd = await tempDir()
  const args = ['-t', '1', '-O', 'out', `http://127.0.0.1:${server.port}${path}`]
  const wget = await run('wget', 'wget', args, { cwd })
  onTestFinished(() => void wget.kill('SIGKILL'))
  await wget.untilStderr(/ 200 OK/)
  server.signal('SIGKILL')
  expect((await wget.ended()).code).toBe(4)
})

test('a download that is whole ends in good order', async () => {
  const server = await startServer('--log', 'off')
  const { sender, path } = await beginSending(server, 'hello')
  const receiver = await connectRaw(server.port)
  await receiver.write(requestHead(`GET ${path}`))
  await receiver.until(/hello/)
  await sender.write('0\r\n\r\n')
  await receiver.until(/\r\n0\r\n(?:.*\r\n)?\r\n$/s)
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  await sender.until(/delivered/)
})
