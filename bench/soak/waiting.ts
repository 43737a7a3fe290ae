import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Random } from './random.js'
import { within } from './wait.js'

/** Senders that wait for a receiver, each with a connection of its own. */
export interface Waiting {
  readonly count: number
  /** How many have lost their connection, which none should. */
  lost(): number
  /** They leave: a third is received, a third resets its connection, a third closes it. How many were received. */
  leave(random: Random): Promise<number>
}

const BODY = 'hello'
const DEADLINE_SECONDS = 60
/** Connections that are opened, or received from, at the same time. */
const AT_ONCE = 50

/** Opens `count` sockets and leaves them without a receiver. */
export async function hold(server: string, count: number): Promise<Waiting> {
  const senders: Array<{ connection: Socket; url: string }> = []
  await inTurns(count, async () => {
    senders.push(await within(DEADLINE_SECONDS, 'a waiting socket opens', open(server)))
  })
  return {
    count,
    lost: () => senders.filter(({ connection }) => connection.destroyed).length,
    leave: async (random) => {
      let received = 0
      await inTurns(count, async () => {
        const sender = senders.pop()
        if (sender === undefined) return
        const { connection, url } = sender
        const way = random.pick(['received', 'reset', 'closed'])
        if (way === 'reset') connection.resetAndDestroy()
        else if (way === 'closed') connection.destroy()
        else {
          await within(DEADLINE_SECONDS, 'a waiting socket is received from', receiveFrom(url))
          received++
        }
      })
      return received
    },
  }
}

async function inTurns(count: number, act: () => Promise<void>): Promise<void> {
  let left = count
  const worker = async () => {
    while (left-- > 0) await act()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function open(server: string): Promise<{ connection: Socket; url: string }> {
  const { hostname, port, host } = new URL(server)
  const connection = connect(Number(port), hostname)
  connection.on('error', () => {})
  await once(connection, 'connect')
  connection.write(
    `PUT / HTTP/1.1\r\nHost: ${host}\r\nAccept: application/x-ndjson\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  )
  let text = ''
  const url = await new Promise<string>((resolve, reject) => {
    connection.on('close', () => reject(new Error(`Expected a socket, got ${text.slice(0, 300)}`)))
    connection.on('data', (piece: Buffer) => {
      // What comes later, heartbeats and the verdict, is only read away.
      if (text.length > 4096) return
      text += piece
      const [, found] = /"url":"([^"]+)"/.exec(text) ?? []
      if (found !== undefined) resolve(found)
    })
  })
  return { connection, url }
}

function receiveFrom(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const receiverRequest = request(url, { agent: false, headers: { Accept: '*/*' } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('error', reject)
      response.on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => {
        if (response.statusCode === 200 && text === BODY) resolve()
        else reject(new Error(`Expected ${BODY} from a waiting sender, got ${response.statusCode} ${text}`))
      })
    })
    receiverRequest.on('error', reject).end()
  })
}
