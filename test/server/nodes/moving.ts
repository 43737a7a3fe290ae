import { expect } from 'vitest'
import { exchange, parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../../helpers/raw-peer.js'
import { until } from '../../helpers/within.js'
import { eventsOf, openSender, type Served, type ServedNode, serveNodes } from '../serve.js'

/** Longer than any test: a drain that is over sooner has nothing left to wait for. */
export const LONG_DRAIN_MS = 60_000

export const FILE = '0123456789'
/** A sender that can go back anywhere, and knows how to go on at another node. */
export const GOES_BACK = { 'Ess-Resume': 'rewind', 'Ess-Reopen': '?1' }
/** A sender that can only go on. */
export const GOES_ON = { 'Ess-Resume': '?1', 'Ess-Reopen': '?1' }
/** A receiver that comes back by itself. */
export const COMES_BACK = { 'Ess-Resume': '?1' }

export type Fields = Readonly<Record<string, string>>

export interface Three {
  readonly a: ServedNode
  readonly b: ServedNode
  readonly c: ServedNode
}

/** Three nodes: a has the socket and stops, its sender opens the link again at b, and what comes later comes to c. */
export async function three(
  options: Parameters<typeof serveNodes>[1] = {},
  setup: Parameters<typeof serveNodes>[2] = {},
): Promise<Three> {
  const [a, b, c] = await serveNodes(3, { reservations: true, ...options }, setup)
  if (a === undefined || b === undefined || c === undefined) throw new Error('Expected three nodes')
  return { a, b, c }
}

/** The path of a sender's upload resource. */
export function uploadOf(sender: RawPeer): string {
  const [, path = ''] = /"upload":"https?:\/\/localhost([^"]+)"/.exec(sender.text()) ?? []
  return path
}

/** The answer to a sender that opens its link again. */
export interface Again {
  readonly id: string
  readonly url: string
  readonly upload: string
  readonly events: string
  readonly expires: string
  readonly resumeWithin: number
}

export async function askToReopen(port: number, upload: string, id: string, fields: Fields = {}) {
  const own = { 'Ess-Reopen': id, Accept: 'application/json', 'Content-Length': '0' }
  const all = { ...GOES_BACK, ...own, ...fields }
  return await exchange(port, requestHead(`POST ${upload}`, all))
}

/** Opens a link again, and returns the path of its new upload resource. */
export async function reopen(port: number, upload: string, id: string, fields: Fields = {}): Promise<string> {
  const answer = await askToReopen(port, upload, id, fields)
  expect(answer.status, answer.body).toBe(201)
  return new URL((JSON.parse(answer.body) as Again).upload).pathname
}

/** What a receiver had got, as its sender was told. */
export function midway(offset: number): Fields {
  return { 'Ess-Connected': '?1', 'Upload-Offset': String(offset) }
}

export const LENGTH = { 'Upload-Length': String(FILE.length) }

export async function head(port: number, upload: string) {
  return await exchange(port, requestHead(`HEAD ${upload}`))
}

/** Sends the rest of the file from this offset on. */
export async function goOn(port: number, upload: string, from: number): Promise<RawPeer> {
  const peer = await connectRaw(port)
  const rest = FILE.slice(from)
  const fields = {
    'Content-Type': 'application/partial-upload',
    'Upload-Offset': String(from),
    'Upload-Complete': '?1',
    'Content-Length': String(rest.length),
  }
  await peer.write(requestHead(`PATCH ${upload}`, fields) + rest)
  return peer
}

export async function receive(port: number, id: string, fields: Fields = {}): Promise<RawPeer> {
  const peer = await connectRaw(port)
  await peer.write(requestHead(`GET /${id}`, fields))
  return peer
}

/** Reads a download to its end, and closes in good order. */
export async function whole(receiver: RawPeer) {
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  return parseAnswer(receiver.text())
}

/** Waits until a receiver is there. */
export async function untilBusy({ port }: Served, id: string): Promise<void> {
  await until(
    'a receiver is there',
    async () => (await exchange(port, requestHead(`HEAD /${id}`))).status === 409,
  )
}

/** What the server has answered when it ended the connection. */
export async function answerOf(peer: RawPeer) {
  await peer.ending()
  return parseAnswer(peer.text())
}

/** A sender of the file at a, and a receiver that has its first five bytes. */
export async function streaming(a: Served, fields: Fields = COMES_BACK) {
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  const receiver = await receive(a.port, sender.id, fields)
  await sender.until(/"connected"/)
  await sender.write(FILE.slice(0, 5))
  await receiver.until(/01234$/)
  return { sender, receiver, upload: uploadOf(sender) }
}

/** The last event is `moved`, and the stream ends as it should: with its last chunk. */
export async function expectMoved(peer: RawPeer): Promise<void> {
  expect(await peer.ending()).toBe('fin')
  expect(eventsOf(peer).at(-1)).toEqual({ event: 'moved' })
  expect(peer.text().endsWith('\r\n0\r\n\r\n')).toBe(true)
}
