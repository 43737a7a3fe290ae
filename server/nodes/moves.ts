import type { IncomingMessage } from 'node:http'
import type { Kind, Locator, Moves, Place } from '../locator/locator.js'
import type { NodeAnswer } from './ask-node.js'
import type { SignedTokens } from './signed-tokens.js'

/** What a node needs so that its transfers can go on at another one. */
export interface NodeMoves extends Moves, SignedTokens {
  /** False while the store can't say which nodes live: one that can't be reached may be dead. */
  readonly canTell: boolean
  /** Has the node at `place` answer a request without a body. Rejects with EssError `node-away`. */
  ask(request: IncomingMessage, place: Place): Promise<NodeAnswer>
}

/** Undefined where no transfer goes on at another node. */
export function nodeMoves(
  locator: Locator,
  tokens: SignedTokens,
  ask: NodeMoves['ask'],
): NodeMoves | undefined {
  const { moves } = locator
  return (
    moves && {
      letGo: (kind: Kind, key: string) => moves.letGo(kind, key),
      claim: (id, letGoBy, decided) => moves.claim(id, letGoBy, decided),
      onLost: (lost) => moves.onLost(lost),
      sign: (id) => tokens.sign(id),
      isOf: (token, id) => tokens.isOf(token, id),
      get canTell() {
        return locator.state.isWell
      },
      ask,
    }
  )
}
