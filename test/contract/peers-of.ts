import type { EmbeddedService } from '../../server/index.js'
import { type Answer, exchange, requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { type SenderRequest, senderHead } from '../server/serve.js'

/** An id that no socket has. */
export const UNKNOWN = 'abcdefghijkl'

/** A sender whose early response is there. */
export interface ContractSender extends RawPeer {
  readonly id: string
  readonly url: string
  /** The path of its upload resource, below the mount. */
  readonly upload: string
}

/** A socket without a sender; places are paths below the mount. */
export interface ContractReservation {
  readonly id: string
  readonly url: string
  readonly upload: string
}

/** What peers do at a host whose service is mounted under `path`; every place is written as below that. */
export function peersOf(path: string) {
  const below = (target: string) => {
    const [method, place = ''] = target.split(' ')
    return `${method} ${path}${place}`
  }

  async function say(port: number, target: string, headers: Record<string, string> = {}): Promise<RawPeer> {
    const peer = await connectRaw(port)
    await peer.write(requestHead(below(target), headers))
    return peer
  }

  /** As an HTTP/1.0 client says it, or an older one. */
  async function sayOld(
    port: number,
    target: string,
    headers: Record<string, string> = {},
    version = 'HTTP/1.0',
  ): Promise<RawPeer> {
    const peer = await connectRaw(port)
    await peer.write(requestHead(below(target), headers, version))
    return peer
  }

  async function ask(port: number, target: string, headers: Record<string, string> = {}): Promise<Answer> {
    return await exchange(port, requestHead(below(target), headers))
  }

  async function open(
    port: number,
    request: SenderRequest = {},
    target = 'PUT /notes.txt',
  ): Promise<ContractSender> {
    const peer = await connectRaw(port)
    await peer.write(senderHead({ ...request, target: below(target) }))
    const [, id = '', url = '', upload = ''] = await peer.until(
      /"event":"opened","v":1,"id":"([^"]+)","url":"([^"]+)","upload":"([^"]+)"/,
    )
    return { ...peer, id, url, upload: placeOf(upload) }
  }

  async function connect(port: number, sender: ContractSender): Promise<RawPeer> {
    const receiver = await say(port, `GET /${sender.id}`)
    await sender.until(/"event":"connected"/)
    return receiver
  }

  async function reserve(port: number, query = ''): Promise<ContractReservation> {
    const { body } = await ask(port, `POST /reserve${query}`, { Accept: 'application/json' })
    // Its form is looked at by a test of its own.
    const { id, url, upload } = JSON.parse(body) as ContractReservation
    return { id, url, upload: placeOf(upload) }
  }

  const placeOf = (url: string) => new URL(url).pathname.slice(path.length)

  return { say, sayOld, ask, open, connect, reserve, placeOf }
}

/** What the service tells of its sockets, in order, where it is in this process. */
export function listenTo(service: EmbeddedService | undefined): string[] {
  const told: string[] = []
  service?.on('socket:reserved', () => told.push('reserved'))
  service?.on('socket:opened', () => told.push('opened'))
  service?.on('socket:connected', () => told.push('connected'))
  service?.on('socket:end', () => told.push('end'))
  service?.on('socket:timeout', () => told.push('timeout'))
  service?.on('error:socket', (_socket, { outcome }) => told.push(outcome))
  return told
}
