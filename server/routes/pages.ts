import {
  downloadPath,
  formatDuration,
  formatLimit,
  isTextType,
  joinUrl,
  PASS_THROUGH_HEADERS,
  ROUTES,
  shorterThanAsked,
} from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { uploadLimit } from '../answer/draft-fields.js'
import { downloadPage, sealedPage } from '../answer/link-page.js'
import { navigates } from '../answer/navigates.js'
import { hasPageScripts } from '../answer/page.js'
import { sendPage } from '../answer/send-page.js'
import { usageText } from '../answer/usage.js'
import { sealedName } from '../broker/download-answer.js'
import type { Service } from '../broker/service.js'
import type { EphemeralSocket } from '../broker/socket.js'
import { tokensAskedBy } from '../request/access.js'
import { receivedIn } from '../request/confirm.js'
import { pageStatus } from '../request/visitor.js'
import { decodeSegment } from './addresses.js'
import { baseOf } from './base.js'
import { linkFacts, pageFacts, servesClient } from './page-facts.js'
import type { Visit } from './visit.js'

/** A complete answer. */
export interface Page {
  readonly status: 200 | 201 | 204 | 406 | 503
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

const UNCACHED = { 'Cache-Control': 'no-store' } as const
const JSON_HEADERS = { 'Content-Type': 'application/json', ...UNCACHED } as const
const TEXT_HEADERS = { ...PASS_THROUGH_HEADERS, 'Content-Type': 'text/plain; charset=utf-8' } as const

/** How to use this server: a page that sends for a person in a browser, and text for programs. */
export function usage(broker: Service, visit: Visit): Page {
  const { ttlMs, maxUploadBytes, earlyResponse, proxyHidesCuts, authorize, cors } = broker.options
  const asked = authorize === undefined ? [] : tokensAskedBy(authorize)
  const terms = {
    base: baseOf(broker, visit),
    mustReserve: !earlyResponse || proxyHidesCuts,
    needsTokenToSend: asked.includes('send'),
    needsTokenToReceive: asked.includes('receive'),
  }
  if (hasScripts(broker) && navigates(visit.request.headers))
    return { status: 200, ...sendPage(terms, pageFacts(broker, visit)) }
  const body = usageText(terms, {
    ttl: formatDuration(ttlMs / 1000),
    maxUpload: maxUploadBytes === 0 ? undefined : formatLimit(maxUploadBytes),
    servesClient: servesClient(broker),
  })
  return { status: 200, headers: { ...cors.headers(visit.request), ...TEXT_HEADERS }, body }
}

/** Whether the server takes senders, its best gear, and its version, which `ess doctor` compares with its own. */
export function health({ isAccepting, relay }: Service): Page {
  const [status, words] = isAccepting
    ? [200 as const, { status: 'ok', relay: relay.gear, version: VERSION }]
    : [503 as const, { status: 'stopping', version: VERSION }]
  return { status, headers: JSON_HEADERS, body: JSON.stringify(words) }
}

/**
 * A reservation: JSON for programs that ask for it, else the link and the address for the upload, a line each. The
 * `Location` is the link; for a client of draft-ietf-httpbis-resumable-upload, it is where the upload goes on.
 */
export function reserve(broker: Service, visit: Visit): Page {
  const { request } = visit
  const { ttlMs, cors } = broker.options
  const { isByDraft, ...reservation } = broker.reserve(visit)
  const { url, upload, ttlAsked } = reservation
  const headers = {
    ...cors.headers(request),
    ...UNCACHED,
    ...(isByDraft ? { Location: upload, ...uploadLimit(broker.options) } : { Location: url }),
  }
  if (/application\/(?:x-nd)?json/i.test(request.headers.accept ?? ''))
    return { status: 201, headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify(reservation) }
  const cut = ttlAsked === undefined ? '' : `# ${shorterThanAsked(ttlMs / 1000, ttlAsked)}\n`
  return { status: 201, headers: { ...TEXT_HEADERS, ...headers }, body: `${url}\n${upload}\n${cut}` }
}

/** The sender cancels its upload resource. */
export function cancelUpload(broker: Service, { request, address }: Visit): Page {
  broker.cancelUpload(decodeSegment(address.key))
  return { status: 204, headers: { ...broker.options.cors.headers(request), ...UNCACHED }, body: null }
}

/** A receiver has no more use for its link: it has the whole file, or stops for good. */
export function leaveDownload(broker: Service, { request, address }: Visit): Page {
  const id = decodeSegment(address.key)
  const received = receivedIn(request)
  if (received === undefined) broker.giveUp(id)
  else broker.confirm(id, received)
  return { status: 204, headers: { ...broker.options.cors.headers(request), ...UNCACHED }, body: null }
}

/** A link's page, for a visitor that only looks. */
export function linkPage(broker: Service, visit: Visit): Page {
  const id = decodeSegment(visit.address.key)
  const socket = broker.inspect(id)
  const { fileName, contentLength, phase, sealed, bundle } = socket
  const base = baseOf(broker, visit)
  const offer = {
    size: contentLength,
    url: joinUrl(base, downloadPath(id, fileName)),
    isReady: phase !== 'reserved',
    clientUrl: servesClient(broker) ? joinUrl(base, ROUTES.clientPackageOfVersion) : undefined,
    script: hasScripts(broker)
      ? ({ entry: 'receive', facts: { ...pageFacts(broker, visit), link: linkFacts(socket) } } as const)
      : undefined,
  }
  const page =
    sealed !== undefined
      ? sealedPage({ ...offer, fileName: sealedName(id) })
      : downloadPage({ ...offer, fileName, isBundle: bundle !== undefined, isText: isText(socket) })
  // A program is never sent here: see `entryOf`.
  return { status: pageStatus(visit.request) ?? 406, ...page }
}

/** As `ess send --text` sends it. */
function isText({ fileName, contentType }: EphemeralSocket): boolean {
  return fileName === undefined && isTextType(contentType)
}

function hasScripts({ options }: Service): boolean {
  return options.web && hasPageScripts()
}
