import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { onTestFinished } from 'vitest'

/** An HTTP proxy that only tunnels, to this machine whatever the name. */
export interface RecordingProxy {
  readonly url: string
  readonly port: number
  /** The targets it was asked for. */
  readonly seen: string[]
  /** The Proxy-Authorization of each request, decoded; '' for none. */
  readonly credentials: string[]
}

export interface RecordingProxySettings {
  /** The answer to CONNECT, in place of a tunnel. */
  readonly answer?: string
  /** Speaks TLS with its client. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer }
}

/** Starts a proxy on a free port; it is closed when the test is over. */
export async function recordingProxy(settings: RecordingProxySettings = {}): Promise<RecordingProxy> {
  const seen: string[] = []
  const credentials: string[] = []
  const http = createServer((_request, answer) => answer.writeHead(400).end())
  http.on('connect', (request: IncomingMessage, client: Socket) => {
    const target = request.url ?? ''
    seen.push(target)
    const [, basic = ''] = /^Basic (.*)$/.exec(request.headers['proxy-authorization'] ?? '') ?? []
    credentials.push(Buffer.from(basic, 'base64').toString())
    if (settings.answer !== undefined) client.end(settings.answer)
    else tunnel(client, Number(target.split(':').at(-1)))
  })
  const { tls } = settings
  const server =
    tls === undefined
      ? http
      : createTlsServer({ ...tls, allowHalfOpen: true }, (socket) => void http.emit('connection', socket))
  const port = await listening(server)
  return {
    url: `${tls === undefined ? 'http://127.0.0.1' : 'https://localhost'}:${port}`,
    port,
    seen,
    credentials,
  }
}

function tunnel(client: Socket, port: number): void {
  const target = connect({ host: '127.0.0.1', port, allowHalfOpen: true }, () => {
    client.write('HTTP/1.1 200 OK\r\n\r\n')
    joinEnds(client, target)
  })
  target.on('error', () => client.destroy())
}

/** Joins two connections, endings included. */
export function joinEnds(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('data', (bytes) => to.write(bytes))
    from.on('end', () => to.end())
    from.on('error', () => to.resetAndDestroy())
  }
}

/** Listens on a free port of 127.0.0.1, until the test is over. */
export async function listening(server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, host)
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port // It listens on TCP.
}
