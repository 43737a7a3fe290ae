import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createService, listen } from '../../server/index.js'
import { until, within } from '../helpers/within.js'

const TRANSFERS = 10_000
const AT_A_TIME = 50
const BODY = 'hello'

/** A transfer takes two milliseconds of a processor, and beside four other files it gets a third of one. */
const DEADLINE_MS = 150_000

/** What is open in this process, by kind. */
function openResources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

/** A connection with as little around it as can be. */
class Wire {
  readonly #socket: Socket
  #text = ''
  #look: () => void = () => {}
  #isOver = false

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text: string) => {
      this.#text += text
      this.#look()
    })
    const over = () => {
      this.#isOver = true
      this.#look()
    }
    this.#socket.on('end', over).on('error', over)
  }

  write(text: string): void {
    this.#socket.write(text)
  }

  /** Waits for `words`, or the end without them; gives what came before them, and forgets both. */
  until(words: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const at = this.#text.indexOf(words)
        if (at < 0 && !this.#isOver) return
        this.#look = () => {}
        if (at < 0) reject(new Error(`The connection ended before ${JSON.stringify(words)}: ${this.#text}`))
        resolve(this.#text.slice(0, at))
        this.#text = this.#text.slice(at + words.length)
      }
      this.#look()
    })
  }

  /** Waits for the other side's FIN, and answers with ours. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (!this.#isOver) return
        this.#socket.end()
        resolve()
      }
      this.#look()
    })
  }

  end(): void {
    this.#socket.end()
  }

  reset(): void {
    this.#socket.resetAndDestroy()
  }
}

const SEND = 'POST / HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n'
const SEND_KNOWN = `${SEND}Content-Length: ${BODY.length}\r\n\r\n`
const SEND_CHUNKED = `${SEND}Transfer-Encoding: chunked\r\n\r\n`

/** Opens a socket, and gives the path of its download. */
async function open(sender: Wire, head: string): Promise<string> {
  sender.write(head)
  const [, id] = /"id":"([^"]+)"/.exec(await sender.until('"url"')) ?? []
  return `/${id}`
}

/** Reserves; gives the paths of the download and of the upload resource. */
async function reserve(port: number): Promise<{ sender: Wire; id: string; path: string }> {
  const sender = new Wire(port)
  sender.write('POST /reserve HTTP/1.1\r\nHost: x\r\n\r\n')
  const [id = ''] = /\/[\w-]{12}(?=\n)/.exec(await sender.until('/uploads/')) ?? []
  return { sender, id, path: `/uploads/${await sender.until('\n')}` }
}

/** A receiver that its sender has been told of. */
async function receive(port: number, path: string, sender: Wire): Promise<Wire> {
  const receiver = new Wire(port)
  receiver.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await sender.until('"connected"')
  return receiver
}

/** One whole transfer; true when the sender's connection may be used again afterwards. */
async function deliver(port: number, sender: Wire, index: number): Promise<boolean> {
  const isChunked = index % 2 === 1
  const path = await open(sender, isChunked ? SEND_CHUNKED : SEND_KNOWN)
  const receiver = await receive(port, path, sender)
  sender.write(isChunked ? `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n` : BODY)
  await receiver.until(BODY)
  await receiver.close()
  await sender.until('"delivered"')
  return !isChunked
}

/** Transfers that end badly, each in another way. */
const FAILURES: readonly ((port: number) => Promise<void>)[] = [
  // The sender leaves while it waits.
  async (port) => {
    const sender = new Wire(port)
    await open(sender, SEND_KNOWN)
    sender.reset()
  },
  // The sender leaves midway.
  async (port) => {
    const sender = new Wire(port)
    const receiver = await receive(port, await open(sender, SEND_CHUNKED), sender)
    sender.write('2\r\nhe\r\n')
    await receiver.until('he\r\n')
    sender.reset()
    await receiver.close()
  },
  // The receiver leaves before the first byte.
  async (port) => {
    const sender = new Wire(port)
    const receiver = await receive(port, await open(sender, SEND_KNOWN), sender)
    receiver.reset()
    await sender.until('receiver-lost')
    sender.end()
  },
  // The upload is found too large midway.
  async (port) => {
    const sender = new Wire(port)
    const receiver = await receive(port, await open(sender, SEND_CHUNKED), sender)
    sender.write(`2\r\nhe\r\n400\r\n${'x'.repeat(1024)}\r\n`)
    await sender.until('too-large')
    sender.end()
    await receiver.close()
  },
  // Nobody comes.
  async (port) => {
    const sender = new Wire(port)
    await open(sender, SEND_KNOWN.replace('POST /', 'POST /?ttl=0.01'))
    await sender.until('expired')
    sender.end()
  },
  // The request is refused, with its body unread.
  async (port) => {
    const sender = new Wire(port)
    sender.write(SEND_KNOWN.replace('POST /', 'POST /?ttl=never'))
    await sender.until('bad-request')
    await sender.close()
  },
  // The early receiver leaves.
  async (port) => {
    const receiver = new Wire(port)
    receiver.write(
      'GET /abcdefghijkl?wait=500 HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n',
    )
    receiver.end()
    await receiver.close()
  },
  // A form never comes to its file.
  async (port) => {
    const sender = new Wire(port)
    sender.write(`${SEND}Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n`)
    sender.write('Transfer-Encoding: chunked\r\n\r\n')
    await sender.until('100 Continue')
    sender.reset()
  },
  // The sender goes on by another request, and then leaves.
  async (port) => {
    const sender = new Wire(port)
    sender.write(SEND_KNOWN)
    await sender.until('/uploads/')
    const path = `/uploads/${await sender.until('"')}`
    const again = new Wire(port)
    again.write(`PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY.length}\r\n\r\n`)
    await sender.close()
    again.reset()
  },
  // The receiver of a reservation leaves before its sender comes, and another one waits to the end.
  async (port) => {
    const { sender, id, path } = await reserve(port)
    const receivers = [new Wire(port), new Wire(port)] as const
    for (const receiver of receivers) receiver.write(`GET ${id} HTTP/1.1\r\nHost: x\r\n\r\n`)
    receivers[0].end()
    await receivers[0].close()
    sender.write(`DELETE ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    await sender.close()
    await receivers[1].until('410')
    receivers[1].reset()
  },
  // A follower leaves before the reservation ends.
  async (port) => {
    const { sender, path } = await reserve(port)
    const follower = new Wire(port)
    follower.write(`GET ${path}/events HTTP/1.1\r\nHost: x\r\n\r\n`)
    await follower.until('reserved')
    follower.reset()
    // By the next answer the reset has been met: an end that comes first would free the follower by itself.
    sender.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
    await sender.until('"ok"')
    sender.write(`DELETE ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    await sender.close()
  },
]

test(`after ${TRANSFERS} small transfers, and some of every failure, nothing is left`, {
  timeout: 3 * DEADLINE_MS,
}, async () => {
  const service = createService({
    tombstoneTtl: 0,
    maxUploadBytes: 1000,
    reservations: true,
    // One client does it all. Limits that it does not reach, and none where it would: what is limited is counted.
    maxSocketsPerClient: 10 * AT_A_TIME,
    maxReservationsPerClient: 10 * AT_A_TIME,
    maxWaitingPerClient: 10 * AT_A_TIME,
    maxMissesPerClient: 0,
  })
  const server = await listen(service, { port: 0, maxConnectionsPerClient: 10 * AT_A_TIME })
  const { port } = server
  let delivered = 0
  service.on('socket:end', (_socket, { outcome }) => {
    if (outcome === 'delivered') delivered++
  })
  const listeners = () => service.eventNames().map((name) => [name, service.listenerCount(name)])

  /** Runs `count` transfers, and some failures, then waits until the process is as it was. */
  async function runAll(count: number): Promise<void> {
    let next = 0
    const worker = async () => {
      // The same connection for many senders, where the server keeps it: what they leave on it would add up.
      let sender = new Wire(port)
      while (next < count) {
        const isKept = await deliver(port, sender, next++)
        if (isKept) continue
        await sender.close()
        sender = new Wire(port)
      }
      sender.end()
      await sender.close()
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    for (const fail of FAILURES) await Promise.all(Array.from({ length: AT_A_TIME }, () => fail(port)))
  }
  const isBackTo = (baseline: Record<string, number>) => () =>
    (openResources()['TCPSocketWrap'] ?? 0) <= (baseline['TCPSocketWrap'] ?? 0)

  const idle = openResources()
  // What Node makes once and keeps is there after a first round.
  await within(DEADLINE_MS, 'the first round', runAll(AT_A_TIME))
  await until('the connections of the first round are closed', isBackTo(idle))
  const before = { resources: openResources(), listeners: listeners() }
  delivered = 0

  await within(DEADLINE_MS, `${TRANSFERS} transfers`, runAll(TRANSFERS))
  expect(delivered).toBe(TRANSFERS)
  await until('all connections are closed', isBackTo(idle))
  await until('the last ends are forgotten', () => service.counts().tombstones === 0)
  expect(service.counts()).toEqual({ sockets: 0, uploads: 0, tombstones: 0, awaiting: 0, held: 0 })
  expect(listeners()).toEqual(before.listeners)
  await until('no timer or handle is left', () => {
    const now = openResources()
    return Object.entries(now).every(([kind, count]) => count <= (before.resources[kind] ?? 0))
  }).catch((error: unknown) => {
    throw new Error(`${error}: ${JSON.stringify({ before: before.resources, now: openResources() })}`)
  })
  await within(DEADLINE_MS, 'the server stops', server.stop(0))
})
