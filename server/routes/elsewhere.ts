import { EssError, percentDecode, UPLOAD_TOKEN_PATTERN } from '../../shared/index.js'
import type { Service } from '../broker/service.js'
import type { Kind } from '../locator/locator.js'
import { leaveBody } from '../nodes/broken-bodies.js'
import { nodeAway } from '../nodes/node-away.js'
import type { Nodes } from '../nodes/nodes.js'
import type { Address, Route } from './addresses.js'
import { answerThrown } from './refusal.js'
import type { Visit } from './visit.js'

/** The addresses whose key may be on another node. */
const KINDS: Readonly<Partial<Record<Route, Kind>>> = {
  download: 'id',
  namedDownload: 'id',
  uploadResource: 'token',
  uploadEvents: 'token',
}

/**
 * Has the node answer that has what isn't here, or refuses the request: with `missing`, the refusal of this node alone, if
 * no node has it. Nothing is written to the response yet. It never rejects.
 */
export async function answerElsewhere(
  broker: Service,
  nodes: Nodes,
  visit: Visit,
  missing: EssError,
): Promise<void> {
  try {
    if (!(await isCarried(broker, nodes, visit))) throw missing
  } catch (error) {
    const { request, response } = visit
    if (!leaveBody(request.socket)) response.shouldKeepAlive = false
    answerThrown(broker, request, response, error)
  }
}

async function isCarried(broker: Service, nodes: Nodes, visit: Visit): Promise<boolean> {
  const { request, response, address } = visit
  const kind = KINDS[address.route]
  const key = keyOf(address)
  if (kind === undefined || key === undefined || nodes.isCarried(request)) return false
  // What no node can have made is not looked for.
  if (!(kind === 'id' ? broker.options.ids.matches(key) : UPLOAD_TOKEN_PATTERN.test(key))) return false
  const isDownload = kind === 'id' && (request.method === 'GET' || request.method === 'POST')
  const found = await nodes.find(kind, key)
  if (found === undefined) return false
  if (found === 'gone')
    throw new EssError('gone', 'This transfer is over, and a link works once. Ask the sender for a new one.')
  if (found === 'unknown') throw nodeAway()
  await nodes.carry({ request, response, isDownload }, found)
  return true
}

/** Undefined for a key that is malformed: the refusal says so. */
function keyOf({ key }: Address): string | undefined {
  return percentDecode(key)
}
