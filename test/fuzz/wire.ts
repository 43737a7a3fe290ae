import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { within } from '../helpers/within.js'
import type { Spoken } from './answers.js'
import type { Attempt } from './requests.js'

/** A connection that the server has not ended after this: more than the longest of its own deadlines in this run. */
const HANG_MS = 20_000

/**
 * Makes one connection and says what the attempt says. Resolves when the server has ended it, or, for a client that
 * waits for something else than the end, when there was an answer. Rejects when neither comes.
 */
export async function speak(port: number, { bytes, cuts, after }: Attempt): Promise<Spoken> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const heard: Buffer[] = []
  let isEnded = false
  let hasBreak = false
  const ended = new Promise<void>((resolve) => {
    socket.once('end', () => {
      isEnded = true
      resolve()
    })
    // A reset, by either side.
    socket.on('error', () => resolve()).once('close', () => resolve())
    socket.on('data', (chunk: Buffer) => {
      heard.push(chunk)
      hasBreak ||= chunk.includes('\r\n\r\n')
      if (hasBreak && after === 'waits') goOn(socket, heard)
    })
  })
  try {
    await within(HANG_MS, 'the server takes a connection', Promise.race([onceConnected(socket), ended]))
    const ends = [...new Set(cuts)].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b)
    for (const [index, from] of [0, ...ends].entries()) {
      if (index > 0) await nextTurn()
      socket.write(Buffer.from(bytes.slice(from, ends[index] ?? bytes.length), 'latin1'))
    }
    if (after === 'closes its half') socket.end()
    if (after === 'resets') {
      await nextTurn()
      socket.resetAndDestroy()
    }
    // A request that is not whole is waited for until its client ends it, which is not what is tested here.
    const patience = after === 'waits' ? setTimeout(() => socket.end(), PATIENCE_MS) : undefined
    await within(HANG_MS, 'the server ends the connection', ended).finally(() => clearTimeout(patience))
  } finally {
    socket.destroy()
  }
  return { text: Buffer.concat(heard).toString('latin1'), isEnded, mayBeHead: bytes.includes('HEAD') }
}

/** What a client that waits gives the server to say something. */
const PATIENCE_MS = 100

/** A client that has an answer: the sender of a link that nobody will open leaves, all others close their half. */
function goOn(socket: Socket, heard: readonly Buffer[]): void {
  if (/^HTTP\/1\.1 201 .*\r\n\r\n./s.test(Buffer.concat(heard).toString('latin1'))) socket.resetAndDestroy()
  else if (!socket.writableEnded) socket.end()
}

function onceConnected(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('connect', resolve))
}
