import { type EssError, percentDecode, UPLOAD_TOKEN_PATTERN } from '../../shared/index.js'
import { goneElsewhere } from '../answer/gone-elsewhere.js'
import { nodeAway } from '../answer/node-away.js'
import { hasEnded } from '../broker/exchange.js'
import type { Service } from '../broker/service.js'
import type { Kind } from '../locator/locator.js'
import { leaveBody } from '../nodes/broken-bodies.js'
import type { Nodes } from '../nodes/nodes.js'
import type { Address, Route } from './addresses.js'
import { answerThrown } from './refusal.js'
import { idToReopen } from './reopen.js'
import { reopenElsewhere } from './reopen-elsewhere.js'
import type { Visit } from './visit.js'

/** What the key of each address is, if another node may have it. */
const KINDS: Readonly<Record<Route, Kind | undefined>> = {
  root: undefined,
  health: undefined,
  reserve: undefined,
  clientPackage: undefined,
  clientPackageOfVersion: undefined,
  webAsset: undefined,
  closedDownload: 'id',
  closedUpload: 'token',
  uploadResource: 'token',
  uploadEvents: 'token',
  download: 'id',
  namedDownload: 'id',
}

/** Where a receiver gets its file. */
const DOWNLOADS: readonly Route[] = ['download', 'namedDownload']

/**
 * Has the node answer that has what isn't here, or refuses the request: with `missing`, the refusal of this node alone, if
 * no node has it. A link that is between two nodes may be opened here meanwhile: then `answerHere` answers, or rejects
 * with the refusal. Nothing is written to the response yet. It never rejects.
 */
export async function answerElsewhere(
  broker: Service,
  nodes: Nodes,
  visit: Visit,
  missing: EssError,
  answerHere: () => Promise<void>,
): Promise<void> {
  try {
    const reopened = idToReopen(visit)
    if (reopened !== undefined) await reopenElsewhere(broker, nodes, visit, reopened, missing)
    else if (!(await isAnswered(broker, nodes, visit, answerHere))) throw missing
  } catch (error) {
    const { request, response } = visit
    if (!leaveBody(request.socket)) response.shouldKeepAlive = false
    answerThrown(broker, request, response, error)
  }
}

async function isAnswered(
  broker: Service,
  nodes: Nodes,
  visit: Visit,
  answerHere: () => Promise<void>,
): Promise<boolean> {
  const { request, response, address } = visit
  const kind = KINDS[address.route]
  const key = keyOf(address)
  if (kind === undefined || key === undefined || nodes.isCarried(request)) return false
  // What no node can have made is not looked for.
  if (!(kind === 'id' ? broker.options.ids.matches(key) : UPLOAD_TOKEN_PATTERN.test(key))) return false
  const isDownload =
    DOWNLOADS.includes(address.route) && (request.method === 'GET' || request.method === 'POST')
  let found = await nodes.find(kind, key)
  // Where the store can't be asked, nothing would tell this node of it.
  if (found === 'between' && isDownload && nodes.moves?.canTell === true) {
    if (await hasLeft(visit, () => broker.awaitReopening(visit, key))) return true
    if (broker.has(key)) {
      await answerHere()
      return true
    }
    found = await nodes.find(kind, key)
  }
  if (found === undefined) return false
  if (found === 'gone') throw goneElsewhere()
  if (found === 'unknown' || found === 'between') throw nodeAway()
  await nodes.carry({ request, response, isDownload }, found)
  return true
}

/** Whether the client has left by the time that `wait` is over. One that closes its half meanwhile has. */
async function hasLeft(visit: Visit, wait: () => Promise<void>): Promise<boolean> {
  const { request } = visit
  const leave = () => void request.socket.destroy()
  if (request.httpVersionMajor === 1) request.socket.once('end', leave)
  await wait().finally(() => request.socket.off('end', leave))
  return hasEnded(visit)
}

/** Undefined for a key that is malformed: the refusal says so. */
function keyOf({ key }: Address): string | undefined {
  return percentDecode(key)
}
