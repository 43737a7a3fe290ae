import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { within } from '../helpers/within.js'
import type { Spoken } from './answers.js'
import type { Attempt } from './requests.js'

/** A connection that the server has not ended after this: more than the longest of its own deadlines in this run. */
const HANG_MS = 20_000

/**
 * Makes one connection and says what the attempt says. Resolves when the server has ended it, or, for a client that
 * waits for something else than the end, when there was an answer. Rejects when neither comes. Gives what the server
 * said, also to the receiver that came where the attempt was a sender.
 */
export async function speak(port: number, { bytes, cuts, after }: Attempt): Promise<Spoken[]> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const heard: Buffer[] = []
  let isEnded = false
  let hasBreak = false
  let receiving: Promise<Spoken[]> | undefined
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
      if (!hasBreak || socket.writableEnded) return
      const text = Buffer.concat(heard).toString('latin1')
      const [, path] = OPENED.exec(text) ?? []
      if (after === 'is received' && path !== undefined) {
        // A body that is not whole is ended by our patience, when some of it has moved.
        receiving ??= speak(port, receiverOf(path))
      } else if (after === 'waits' || after === 'is received') goOn(socket, text)
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
    const isPatient = after === 'waits' || after === 'is received'
    const patience = isPatient ? setTimeout(() => socket.end(), PATIENCE_MS) : undefined
    await within(HANG_MS, 'the server ends the connection', ended).finally(() => clearTimeout(patience))
  } finally {
    socket.destroy()
  }
  const own = {
    text: Buffer.concat(heard).toString('latin1'),
    isEnded,
    mayBeHead: bytes.includes('HEAD'),
  }
  return [own, ...((await receiving) ?? [])]
}

/** The first line of a sender's text, or its first event: where its receiver may come. */
const OPENED = /^HTTP\/1\.1 201 .*?\r\n\r\n.*?\bhttp:\/\/localhost(\/[\w%.~!*'()-]+)/s

/** It asks for no second answer: one that is refused would stay for as long as the server keeps connections alive. */
function receiverOf(path: string): Attempt {
  const bytes = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
  return { bytes, cuts: [], after: 'stays' }
}

/** What a client that waits gives the server to say something. */
const PATIENCE_MS = 100

/** A client that has an answer: the sender of a link that nobody will open leaves, all others close their half. */
function goOn(socket: Socket, text: string): void {
  if (/^HTTP\/1\.1 201 .*\r\n\r\n./s.test(text)) socket.resetAndDestroy()
  else socket.end()
}

function onceConnected(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('connect', resolve))
}
