import { removeForeignFields } from '../answer/foreign-fields.js'
import { goneElsewhere } from '../answer/gone-elsewhere.js'
import { nodeAway } from '../answer/node-away.js'
import type { Service } from '../broker/service.js'
import type { Place } from '../locator/locator.js'
import type { NodeAnswer } from '../nodes/ask-node.js'
import type { NodeMoves } from '../nodes/moves.js'
import type { Nodes } from '../nodes/nodes.js'
import { decodeSegment } from './addresses.js'
import { type Guards, guard } from './guards.js'
import { sendReopened } from './reopen.js'
import type { Visit } from './visit.js'

/** To open a link again is to open it. */
const OPENING = { access: 'send', crossSite: 'send' } as const satisfies Guards

/** How often another node may be quicker, before the sender is asked to come again. */
const ATTEMPTS = 3

/**
 * Opens a link again that isn't here: another node that has it answers, and if none has it, it is opened here. Rejects
 * with the refusal, which is `missing` for a token that isn't this link's.
 */
export async function reopenElsewhere(
  broker: Service,
  nodes: Nodes,
  visit: Visit,
  id: string,
  missing: unknown,
): Promise<void> {
  const { moves } = nodes
  const token = decodeSegment(visit.address.key)
  // The node that has brought it here decides.
  if (moves === undefined || nodes.isCarried(visit.request)) throw missing
  if (!broker.options.ids.matches(id) || !moves.isOf(token, id)) throw missing
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { answer, letGoBy } = await askOwner(nodes, moves, visit, id)
    if (answer !== undefined) {
      sendAnswer(visit, answer)
      return
    }
    guard(broker, visit, OPENING)
    const reopened = await broker.reopen(visit, { token, id }, moves, letGoBy)
    if (reopened !== undefined) {
      await sendReopened(broker, visit, reopened)
      return
    }
  }
  throw nodeAway()
}

/** What the node says that has the link; or which one has let it go. */
async function askOwner(
  nodes: Nodes,
  moves: NodeMoves,
  { request }: Visit,
  id: string,
): Promise<{ readonly answer?: NodeAnswer; readonly letGoBy?: Place }> {
  const found = await nodes.find('id', id)
  if (found === 'gone') throw goneElsewhere()
  if (typeof found !== 'object') return {}
  try {
    const answer = await moves.ask(request, found)
    // It has let the link go, and says no more than that of it.
    return answer.status === 503 ? { letGoBy: found } : { answer }
  } catch (error) {
    // A dead node is soon known to be dead, but not while the store can't be asked.
    if (moves.canTell) throw error
    return { letGoBy: found }
  }
}

function sendAnswer({ response }: Visit, { status, fields, body }: NodeAnswer): void {
  if (response.destroyed || response.headersSent) return
  removeForeignFields(response)
  response.writeHead(status, fields)
  response.end(body)
}
