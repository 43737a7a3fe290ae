import { isTerminal, StatusDecoder, type StatusEvent } from '../../shared/index.js'
import type { Answer, Peer } from './peer.js'

/** The events of a status stream, as far as they have come. */
export function eventsOf(answer: Answer | undefined): StatusEvent[] {
  return new StatusDecoder().push(String(answer?.body ?? ''))
}

/** The verdict of a status stream; a word for what must never be, where there are two, or it ends as the other one does. */
export function streamVerdict(
  answer: Answer,
  ended: 'fin' | 'rst' | undefined,
  brokenBy: Peer['brokenBy'],
): string | undefined {
  if (answer.status >= 300) return undefined
  const events = eventsOf(answer)
  const verdicts = events.filter(isTerminal)
  const [verdict] = verdicts
  if (verdict === undefined) return undefined
  if (verdicts.length > 1 || events.at(-1) !== verdict) return `several words at the end: ${answer.body}`
  if (verdict.event === 'delivered') {
    if (!answer.isComplete) return 'delivered, in a response without an end'
    return verdict.confirmed ? 'delivered' : 'delivered, unconfirmed'
  }
  if (answer.isComplete) return 'failed, in a response with an end'
  if (ended !== brokenBy) return `failed, and ended by a ${ended}`
  return `failed: ${verdict.problem.type.split(':').at(-1)}`
}

/** The verdict in the status of an upload to a reservation. */
export function finalVerdict(answer: Answer): string | undefined {
  if (answer.status !== 200 || !answer.isComplete) return undefined
  const [verdict] = eventsOf(answer)
  if (verdict?.event !== 'delivered') return `200, but ${answer.body}`
  return verdict.confirmed ? 'delivered' : 'delivered, unconfirmed'
}

/** A refusal. */
export function problemIn({ status, body, isComplete }: Answer): string | undefined {
  if (status < 400 || !isComplete) return undefined
  return `${status} ${/ \[([a-z-]+)\]\n*$/.exec(String(body))?.[1] ?? '?'}`
}
