import type { Relay } from '../relay/relay.js'
import type { ResolvedOptions } from './options.js'
import type { StatusStreams } from './status-streams.js'
import type { SocketTerms } from './subject.js'

/** The parts of a service that these come from. */
interface TermParts {
  readonly options: ResolvedOptions
  readonly relay: Relay
  readonly statusStreams: StatusStreams
}

/** The terms that all sockets of a service share. */
export function commonTerms({
  options: { resumeWithinMs: returnMs, maxUploadBytes, stallTimeoutMs, cors },
  relay,
  statusStreams: { progress },
}: TermParts): Omit<SocketTerms, 'id' | 'base' | 'ttlMs' | 'askedTtlMs' | 'giveBack'> {
  return { returnMs, maxUploadBytes, stallTimeoutMs, relay, progress, cors }
}
