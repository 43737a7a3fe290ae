import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { uploadLimit } from '../answer/draft-fields.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import type { Service } from '../broker/service.js'
import { outliveHalfClose } from '../node/half-open.js'
import { answerAheadIsOut } from '../node/socket-inside.js'
import { pageStatus } from '../request/visitor.js'
import { type Address, decodeSegment, type Route } from './addresses.js'
import { sendClientPackage } from './client-package.js'
import { type Guards, guard } from './guards.js'
import { cancelUpload, health, leaveDownload, linkPage, type Page, reserve, usage } from './pages.js'
import { answerThrown } from './refusal.js'
import { answerReopened, idToReopen } from './reopen.js'
import type { Visit } from './visit.js'
import { sendWebAsset } from './web-asset.js'

/** An answer on Node's own response, which may stay open for as long as a transfer takes. */
export interface Transfer {
  readonly guards: Guards
  /** Throws, or rejects with, the EssError to refuse the request with. */
  readonly transfer: (broker: Service, visit: Visit) => Promise<void> | void
}

/** An answer that is complete at once, and that an embedder's middleware may change. */
export interface Answer {
  readonly guards: Guards
  /** True if other nodes have to know of it before its client does. Default: false. */
  readonly isTold?: boolean
  /** Throws the EssError to refuse the request with. */
  readonly page: (broker: Service, visit: Visit) => Page
}

export type Entry = Transfer | Answer

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One address: its answer to each method, in the order of `Allow`. */
interface Row {
  readonly methods: Readonly<Partial<Record<Method, Entry>>>
  /** The answer to a `GET` by a visitor that only looks: a person in a browser, a preview, a robot. */
  readonly look?: Answer
}

const SENDING = { access: 'send', crossSite: 'send', unreadBody: true } as const satisfies Guards

/** A sender opens a socket. */
export const OPEN: Transfer = {
  guards: SENDING,
  transfer: (broker, visit) => broker.open(visit),
}

/** The same; the path names the file. */
const OPEN_NAMED: Transfer = {
  guards: SENDING,
  transfer: (broker, visit) => broker.open(visit, keyOf(visit)),
}

/** A receiver takes the file. */
export const RECEIVE: Transfer = {
  guards: { access: 'receive', misses: true, visitors: true, crossSite: 'receive' },
  transfer: (broker, visit) => broker.receive(visit, keyOf(visit)),
}

/** What a download would say of the file, without its bytes. It waits as a download does. */
const INSPECT: Transfer = {
  guards: { access: 'receive', misses: true },
  transfer: async (broker, visit) => {
    const { request, response } = visit
    await broker.awaitNews(visit, keyOf(visit))
    if (response.destroyed || response.headersSent) return
    removeForeignFields(response)
    response.writeHead(200, broker.inspect(keyOf(visit), request).downloadHeaders(request))
    response.end()
  },
}

/** An upload resource asks for no access: its token came from a client that may send, and that may pass it on. */
const UPLOAD: Transfer = {
  guards: { misses: true, unreadBody: true },
  transfer: (broker, visit) => {
    const id = idToReopen(visit)
    return id === undefined ? broker.upload(visit, keyOf(visit)) : answerReopened(broker, visit, id)
  },
}

/** Where the sender has to go on. */
const OFFSET: Transfer = {
  guards: { misses: true },
  transfer: async (broker, visit) => {
    const { offset, total, isComplete } = await broker.offsetOf(visit, keyOf(visit))
    const { request, response } = visit
    if (response.destroyed) return
    removeForeignFields(response)
    response.writeHead(204, {
      ...broker.options.cors.headers(request),
      'Cache-Control': 'no-store',
      'Upload-Offset': offset,
      'Upload-Complete': isComplete ? '?1' : '?0',
      ...(total !== undefined && { 'Upload-Length': total }),
      ...uploadLimit(broker.options),
    })
    response.end()
  },
}

/** A piece of the file, or its rest after a cut. */
const APPEND: Transfer = {
  guards: { misses: true, unreadBody: true },
  transfer: (broker, visit) => broker.append(visit, keyOf(visit)),
}

const FOLLOW: Transfer = {
  guards: { misses: true },
  transfer: (broker, visit) => broker.follow(visit, keyOf(visit)),
}

const CANCEL: Answer = { guards: { misses: true }, page: cancelUpload }

/** The receiver doesn't come back: it has the whole file, or stops. */
const LEAVE: Answer = {
  guards: { access: 'receive', misses: true, crossSite: 'receive' },
  page: leaveDownload,
}

const RESERVE: Answer = {
  // A prefetch or a preview of this address would leave a reservation that is never used.
  guards: { access: 'send', visitors: true, crossSite: 'send', reservation: true },
  page: reserve,
  isTold: true,
}

const USAGE: Answer = { guards: {}, page: usage }

const HEALTH: Answer = { guards: {}, page: health }

const LINK: Row = {
  methods: { GET: RECEIVE, HEAD: INSPECT, POST: RECEIVE, DELETE: LEAVE },
  look: { guards: { access: 'receive', misses: true, visitors: true }, page: linkPage },
}

const CLIENT: Row = {
  methods: {
    GET: { guards: {}, transfer: sendClientPackage },
    HEAD: { guards: {}, transfer: sendClientPackage },
    PUT: OPEN_NAMED,
  },
}

/** They hold no secret. */
const WEB_ASSET: Transfer = { guards: {}, transfer: sendWebAsset }

/** Every address with all that it answers. A `PUT` to one segment is an upload, even if the segment is `health`. */
const TABLE: Readonly<Record<Route, Row>> = {
  root: { methods: { GET: USAGE, HEAD: USAGE, POST: OPEN, PUT: OPEN } },
  health: { methods: { GET: HEALTH, HEAD: HEALTH, PUT: OPEN_NAMED } },
  reserve: { methods: { GET: RESERVE, POST: RESERVE, PUT: OPEN_NAMED } },
  clientPackage: CLIENT,
  clientPackageOfVersion: CLIENT,
  webAsset: { methods: { GET: WEB_ASSET, HEAD: WEB_ASSET } },
  closedDownload: { methods: { POST: LEAVE } },
  closedUpload: { methods: { POST: CANCEL } },
  uploadResource: { methods: { HEAD: OFFSET, PUT: UPLOAD, POST: UPLOAD, PATCH: APPEND, DELETE: CANCEL } },
  uploadEvents: { methods: { GET: FOLLOW } },
  download: { ...LINK, methods: { ...LINK.methods, PUT: OPEN_NAMED } },
  namedDownload: LINK,
}

/** What answers this request. Undefined for a method that the address doesn't take. */
export function entryOf(
  { route }: Address,
  request: IncomingMessage,
  method = request.method ?? '',
): Entry | undefined {
  const { methods, look } = TABLE[route]
  if (look !== undefined && method === 'GET' && pageStatus(request) !== undefined) return look
  return Object.hasOwn(methods, method) ? methods[method as Method] : undefined
}

/** The `Allow` of an address (RFC 9110, 15.5.6). */
export function allowOf(route: Route): string {
  return [...Object.keys(TABLE[route].methods), 'OPTIONS'].join(', ')
}

/** Guards a request and answers it, with a refusal where one is due. It never rejects. */
export async function answerTransfer(
  broker: Service,
  visit: Visit,
  { guards, transfer }: Transfer,
): Promise<void> {
  try {
    if (visit.response.socket === null) await answerAheadIsOut(visit.request.socket)
    guard(broker, visit, guards)
    await transfer(broker, visit)
  } catch (error) {
    await answerWithout(broker, visit, error, transfer)
  }
}

/** Ends a request whose answer threw: another node may have what isn't here. It never rejects. */
async function answerWithout(
  broker: Service,
  visit: Visit,
  error: unknown,
  transfer: Transfer['transfer'],
): Promise<void> {
  const { nodes } = broker
  if (nodes === undefined || !isMissing(error)) {
    answerThrown(broker, visit.request, visit.response, error)
    return
  }
  // Node would answer a client's end with our own, before the node that has the transfer was found.
  outliveHalfClose(visit.request, visit.response, () => undefined)
  if (visit.address.route === 'uploadResource') nodes.watchBody(visit.request)
  // Only a cluster loads it.
  const { answerElsewhere } = await import('./elsewhere.js')
  await answerElsewhere(broker, nodes, visit, error, async () => await transfer(broker, visit))
}

/** True for the refusal of what isn't here, or not any more. */
export function isMissing(error: unknown): error is EssError {
  return error instanceof EssError && (error.code === 'not-found' || error.code === 'node-away')
}

/** The id, the token or the file's name in the path. Throws EssError `bad-request`. */
function keyOf({ address }: Visit): string {
  return decodeSegment(address.key)
}
