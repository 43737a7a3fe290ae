import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { download, send } from '../../client/index.js'
import { certificate } from '../helpers/certificate.js'
import { rawServer } from '../helpers/client-raw-server.js'
import { chunk, ID, LAST_CHUNK, openDownload, openUpload, tell } from '../helpers/client-wire.js'
import { needs } from '../helpers/needs.js'
import { run } from '../helpers/run.js'
import { tempDir } from '../helpers/temp-dir.js'

const ESS = fileURLToPath(new URL('../../dist/client/main.js', import.meta.url))

afterEach(() => {
  vi.unstubAllEnvs()
})

async function listening(server: ReturnType<typeof createTcpServer>): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port // It listens on TCP.
}

/** Joins two connections, endings included. */
function joinEnds(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('data', (bytes) => to.write(bytes))
    from.on('end', () => to.end())
    from.on('error', () => to.resetAndDestroy())
  }
}

/** An HTTP proxy that only tunnels; `seen` are the targets it was asked for. */
async function tunnelProxy(): Promise<{ readonly url: string; readonly seen: string[] }> {
  const seen: string[] = []
  const proxy = createServer((_request, answer) => answer.writeHead(400).end())
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    seen.push(request.url ?? '')
    const [host, port] = (request.url ?? '').split(':')
    if (host === 'forbidden.example') {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    const target = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true }, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      joinEnds(socket, target)
    })
  })
  return { url: `http://127.0.0.1:${await listening(proxy)}`, seen }
}

test('a proxy of the environment is asked for a tunnel, for http too', async () => {
  const server = await rawServer()
  const proxy = await tunnelProxy()
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
  expect(proxy.seen).toEqual([`ess.example:${server.port}`, `ess.example:${server.port}`])
})

test('a cut download is noticed through a proxy', async () => {
  const server = await rawServer()
  const proxy = await tunnelProxy()
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
  const proxy = await tunnelProxy()
  vi.stubEnv('http_proxy', proxy.url)
  vi.stubEnv('no_proxy', '127.0.0.1')
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, to: { file } })
  ;(await openDownload(server, 'Content-Length: 5')).end('hello')
  await received
  expect(proxy.seen).toEqual([])
})

test('a proxy that refuses, is away, or is none, is an unreachable server', async () => {
  const proxy = await tunnelProxy()
  vi.stubEnv('no_proxy', '')
  vi.stubEnv('http_proxy', proxy.url)
  const server = 'http://forbidden.example:81'
  const look = () => download(ID, { server, to: { file: '/dev/null' } })
  await expect(look()).rejects.toMatchObject({
    code: 'server-unreachable',
    message: expect.stringMatching(/^Cannot reach http:\/\/forbidden\.example:81: the proxy .* HTTP 403$/),
  })
  vi.stubEnv('http_proxy', 'http://127.0.0.1:1')
  await expect(look()).rejects.toMatchObject({ code: 'server-unreachable' })
  vi.stubEnv('http_proxy', 'socks5://127.0.0.1:1')
  await expect(look()).rejects.toMatchObject({
    code: 'server-unreachable',
    message: 'Expected the proxy to be an http:// URL, got socks5://127.0.0.1:1',
  })
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

test('a certificate that nobody vouches for is an unreachable server', async (context) => {
  needs(context, 'openssl')
  const server = await rawServer()
  const url = await tlsFront(server.port, await certificate())
  await expect(download(ID, { server: url, to: { file: '/dev/null' } })).rejects.toMatchObject({
    code: 'server-unreachable',
    message: expect.stringContaining(`Cannot reach ${url}: its certificate is from no known authority`),
  })
})
