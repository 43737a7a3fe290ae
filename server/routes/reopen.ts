import { removeForeignFields } from '../answer/foreign-fields.js'
import type { Reopened } from '../broker/reopenings.js'
import type { Service } from '../broker/service.js'
import { reopenedId } from '../request/reopening.js'
import { decodeSegment } from './addresses.js'
import type { Visit } from './visit.js'

/** The id of the link that this request opens again; undefined for any other request. */
export function idToReopen({ request, address }: Visit): string | undefined {
  return address.route === 'uploadResource' && request.method === 'POST' ? reopenedId(request) : undefined
}

/** Answers a sender whose link is here. Rejects with the refusal if it isn't. */
export async function answerReopened(broker: Service, visit: Visit, id: string): Promise<void> {
  await sendReopened(
    broker,
    visit,
    await broker.reopened(visit, { token: decodeSegment(visit.address.key), id }),
  )
}

/** The same as for a reservation, for programs alone. */
export async function sendReopened(
  broker: Service,
  { request, response }: Visit,
  reopened: Reopened,
): Promise<void> {
  // The sender uses its new token at once, at whatever node.
  await broker.nodes?.whenKnown()
  if (response.destroyed || response.headersSent) return
  const body = JSON.stringify(reopened)
  removeForeignFields(response)
  response.writeHead(201, {
    ...broker.options.cors.headers(request),
    'Cache-Control': 'no-store',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    Location: reopened.upload,
  })
  response.end(body)
}
