import { expect, test } from 'vitest'
import { certificate } from '../helpers/certificate.js'
import { run } from '../helpers/run.js'

const DIST = new URL('../../dist/', import.meta.url)

/** Both ends of a TLS connection; `side` writes, resets and destroys what it has in one turn. */
const SCRIPT = `
import { connect, createServer } from 'node:net'
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls'
const [, side, cert, key, dist, size] = process.argv
const client = await import(dist + 'client/node/reset.js')
const server = await import(dist + 'server/node/linger.js')
const resets = {
  client: client.resetConnection,
  server: (socket, tcp) => {
    server.setCarrier(socket, tcp)
    server.resetConnection(socket)
  },
}
const quiet = (socket) => socket.on('error', () => {})
const go = (mine, socket, tcp) => {
  if (mine !== side) return
  socket.write(Buffer.alloc(Number(size)))
  resets[side](socket, tcp)
  socket.destroy()
  queueMicrotask(() => socket.destroy())
  socket.on('close', () => setImmediate(() => {
    console.log(tcp.destroyed && socket.destroyed)
    process.exit()
  }))
}
const secureContext = createSecureContext({ cert, key })
const listener = createServer((tcp) => {
  const socket = quiet(new TLSSocket(quiet(tcp), { isServer: true, secureContext }))
  socket.on('secure', () => go('server', socket, tcp))
})
listener.listen(0, '127.0.0.1', () => {
  const tcp = quiet(connect(listener.address().port, '127.0.0.1'))
  const socket = connectTls({ socket: tcp, rejectUnauthorized: false })
  quiet(socket).on('secureConnect', () => go('client', socket, tcp))
})
`

test.each([
  ['client', '10'],
  ['client', '8000000'],
  ['server', '10'],
  ['server', '8000000'],
])('a %s that resets TLS with %s bytes under way lives, and closes both', async (side, size) => {
  const { cert, key } = await certificate()
  const script = ['--input-type=module', '-e', SCRIPT, side, String(cert), String(key), DIST.href, size]
  const { code, signal, stdout, stderr } = await (await run('reset', process.execPath, script)).ended()
  expect({ code, signal, stdout: stdout.toString(), stderr }).toEqual({
    code: 0,
    signal: null,
    stdout: 'true\n',
    stderr: '',
  })
})
