import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A proxy on loopback that passes everything on, but late. */
export interface SlowProxy {
  readonly port: number
  /** How late, in both directions, from now on. What is under way keeps its time, and its order. */
  delayMs: number
  /** How many bytes have come, in both directions. */
  readonly bytes: { readonly up: number; readonly down: number }
}

/** Starts one to a port of this machine. It ends with the test. */
export async function startSlowProxy(serverPort: number, delayMs: number): Promise<SlowProxy> {
  const connections = new Set<Socket>()
  const bytes = { up: 0, down: 0 }
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: serverPort, host: '127.0.0.1', noDelay: true })
    pass(client, upstream, 'up')
    pass(upstream, client, 'down')
  })
  const proxy = { port: 0, delayMs, bytes }

  function pass(from: Socket, to: Socket, direction: 'up' | 'down'): void {
    connections.add(from)
    let lastMs = 0
    const late = (act: () => void) => {
      // Never before what came earlier.
      lastMs = Math.max(lastMs, performance.now() + proxy.delayMs)
      if (lastMs <= performance.now()) act()
      else setTimeout(act, lastMs - performance.now())
    }
    from.on('data', (chunk) => {
      bytes[direction] += chunk.length
      late(() => to.writable && to.write(chunk))
    })
    from.on('error', () => to.destroy())
    from.on('close', () => {
      connections.delete(from)
      late(() => to.destroy())
    })
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has this kind of address.
  proxy.port = (server.address() as AddressInfo).port
  onTestFinished(async () => {
    for (const connection of connections) connection.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return proxy
}
