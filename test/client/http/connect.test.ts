import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, expect, test, vi } from 'vitest'
import { download, send } from '../../../client/index.js'
import { certificate } from '../../helpers/certificate.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { chunk, ID, LAST_CHUNK, openDownload, openUpload, tell } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { joinEnds, listening, recordingProxy } from '../../helpers/recording-proxy.js'
import { run } from '../../helpers/run.js'
import { ESS } from '../../helpers/run-ess.js'
import { tempDir } from '../../helpers/temp-dir.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

test('a proxy of the environment is asked for a tunnel, for http too', async () => {
  const server = await rawServer()
  const proxy = await recordingProxy()
  vi.stubEnv('http_proxy', proxy.url)
  vi.stubEnv('no_proxy', '')
  const file = join(await tempDir(), 'x')
  await writeFile(`${file}.in`, 'hello')
  const sending = send(`${file}.in`, { server: `http://ess.example:${server.port}` })
  const upload = await openUpload(server)
  tell(upload, { event: 'connected' })
  await upload.until(/hello$/)
  tell(upload, { event: 'delivered', bytes: 5, confirmed: true })
  upload.end(LAST_CHUNK)
  await sending.verdict
  const received = download(ID, { server: `http://ess.example:${server.port}`, to: { file } })
  const connection = await openDownload(server, 'Transfer-Encoding: chunked')
  connection.end(chunk('hello') + LAST_CHUNK)
  expect(await received).toMatchObject({ bytes: 5 })
  expect(await connection.ending()).toBe('fin')
  // The upload, the HEAD that asks for the size, and the GET.
  expect(proxy.seen).toEqual(Array(3).fill(`ess.example:${server.port}`))
})

test('a cut download is noticed through a proxy', async () => {
  const server = await rawServer()
  const proxy = await recordingProxy()
  vi.stubEnv('http_proxy', proxy.url)
  vi.stubEnv('no_proxy', '')
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: `http://ess.example:${server.port}`, to: { file } })
  const connection = await openDownload(server, 'Content-Length: 9')
  connection.end('hello')
  await expect(received).rejects.toMatchObject({ code: 'incomplete' })
})

test('NO_PROXY leads past it', async () => {
  const server = await rawServer()
  const proxy = await recordingProxy()
  vi.stubEnv('http_proxy', proxy.url)
  vi.stubEnv('no_proxy', '127.0.0.1')
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, to: { file } })
  ;(await openDownload(server, 'Content-Length: 5')).end('hello')
  await received
  expect(proxy.seen).toEqual([])
})

/** TLS in front of a raw server, that passes endings on in both directions. */
async function tlsFront(port: number, options: { key: Buffer; cert: Buffer }): Promise<string> {
  const front = createTlsServer({ ...options, allowHalfOpen: true }, (socket) => {
    socket.on('error', () => target.resetAndDestroy())
    const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    joinEnds(socket, target)
  })
  return `https://localhost:${await listening(front)}`
}

test('over TLS a private CA is honoured, and a FIN and a reset mean the same', async (context) => {
  needs(context, 'openssl')
  const server = await rawServer()
  const tls = await certificate()
  const url = await tlsFront(server.port, tls)
  const cwd = await tempDir()
  const args = [ESS, 'get', ID, '--server', url, '-o']
  const env = { NODE_EXTRA_CA_CERTS: tls.path }

  const whole = await run('ess get over TLS', process.execPath, [...args, 'whole'], { cwd, env })
  const first = await openDownload(server, 'Content-Length: 5')
  first.end('hello')
  expect((await whole.ended()).code).toBe(0)
  expect(await readFile(join(cwd, 'whole'), 'utf8')).toBe('hello')
  expect(await first.ending()).toBe('fin')

  const interrupted = await run('ess get over TLS', process.execPath, [...args, '-'], { cwd, env })
  const second = await openDownload(server, 'Content-Length: 9')
  second.write('hello')
  await interrupted.untilStdout(/hello/)
  interrupted.kill('SIGINT')
  expect((await interrupted.ended()).code).toBe(130)
  expect(await second.ending()).toBe('rst')

  const cut = await run('ess get over TLS', process.execPath, [...args, 'cut'], { cwd, env })
  const third = await openDownload(server, 'Content-Length: 9')
  third.end('hello')
  expect((await cut.ended()).code).toBe(5)
})

test('through a proxy that speaks TLS, a FIN and a reset mean the same', async (context) => {
  needs(context, 'openssl')
  const server = await rawServer()
  const tls = await certificate()
  const proxy = await recordingProxy({ tls })
  const cwd = await tempDir()
  const env = { NODE_EXTRA_CA_CERTS: tls.path, ALL_PROXY: proxy.url }
  for (const url of [`http://ess.example:${server.port}`, await tlsFront(server.port, tls)]) {
    const args = [ESS, 'get', ID, '--server', url, '-o']
    const whole = await run(`ess get ${url}`, process.execPath, [...args, 'whole', '--force'], { cwd, env })
    const first = await openDownload(server, 'Content-Length: 5')
    first.end('hello')
    expect((await whole.ended()).code).toBe(0)
    expect(await first.ending()).toBe('fin')

    const interrupted = await run(`ess get ${url}`, process.execPath, [...args, '-'], { cwd, env })
    const second = await openDownload(server, 'Content-Length: 9')
    second.write('hello')
    await interrupted.untilStdout(/hello/)
    interrupted.kill('SIGINT')
    expect((await interrupted.ended()).code).toBe(130)
    expect(await second.ending()).toBe('rst')
  }
  // Each time a HEAD and a GET, for the file and for standard output.
  expect(proxy.seen).toHaveLength(8)
})

test('a server whose certificate no authority signed is unreachable', async (context) => {
  needs(context, 'openssl')
  const server = await rawServer()
  const url = await tlsFront(server.port, await certificate())
  await expect(download(ID, { server: url, to: { file: '/dev/null' } })).rejects.toMatchObject({
    code: 'server-unreachable',
    message: expect.stringContaining(
      `Cannot reach ${url}: this machine does not trust the authority that signed its certificate.`,
    ),
  })
})
