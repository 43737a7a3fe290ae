import { readFile } from 'node:fs/promises'
import type { TestContext } from 'vitest'
import { otherPort } from './other-node.js'
import { until } from './within.js'

// /proc/net/tcp: "sl local_address rem_address st tx_queue:rx_queue ...", all in hex.
const LINE =
  /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]{2}) [0-9A-F]{8}:([0-9A-F]{8})/
/** The state of a connection whose other side has said FIN. */
const CLOSE_WAIT = '08'

/**
 * Waits until the kernel holds at least `bytes` that a client of `port` has not read, with the server's FIN
 * behind them: for the server everything is sent, for the client nothing has come.
 */
export async function untilAllUnread(port: number, bytes: number): Promise<void> {
  // A receiver may be at the other node.
  const ports = [port, otherPort(port)]
  await until(`${bytes} unread bytes and a FIN wait in the receiver's kernel`, async () =>
    (await readFile('/proc/net/tcp', 'utf8')).split('\n').some((line) => {
      const [, , remotePort = '', state, unread = ''] = LINE.exec(line) ?? []
      return (
        ports.includes(Number.parseInt(remotePort, 16)) &&
        state === CLOSE_WAIT &&
        Number.parseInt(unread, 16) >= bytes
      )
    }),
  )
}

/** Waits until a client has sent the server at `port` at least `bytes` that the server has not read. */
export async function untilUnreadByServer(port: number, bytes: number): Promise<void> {
  await until(`${bytes} unread bytes wait in the server's kernel`, async () =>
    (await readFile('/proc/net/tcp', 'utf8')).split('\n').some((line) => {
      const [, localPort = '', , , unread = ''] = LINE.exec(line) ?? []
      return Number.parseInt(localPort, 16) === port && Number.parseInt(unread, 16) >= bytes
    }),
  )
}

/** Skips a test that looks into /proc where there is none. */
export function needsProc(context: TestContext): void {
  context.skip(process.platform !== 'linux', 'needs /proc, which is only on Linux')
}
