import { EssError, isSocketId } from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import { type Cors, compileCors } from '../answer/cors.js'
import { randomId } from '../node/random-id.js'
import { compileTrust, type Trust } from '../request/public-url.js'
import { nearestName } from './nearest-name.js'
import { checkOption } from './option-checks.js'
import type { OptionRow } from './option-kinds.js'
import { hasAll, type NameOf, namesOf } from './option-names.js'
import { OPTIONS, type Options } from './option-table.js'
import type { ServiceOptions } from './service-options.js'

export { seconds, wholeNumber } from './option-checks.js'
export type { ServiceOptions } from './service-options.js'

type OptionName = NameOf<'library' | 'both'>

/** What an embedder gives for an option, or its default. */
type GivenValue<Name extends OptionName> = NonNullable<ServiceOptions[Name]> | Options[Name]['default']

/** The options as an embedder gives them, with every default in place. */
type Given<Name extends OptionName = OptionName> = { readonly [One in Name]: GivenValue<One> }

/** The options that a service needs in another form. */
type Changed =
  | 'ttl'
  | 'stallTimeout'
  | 'resumeWithin'
  | 'heartbeat'
  | 'tombstoneTtl'
  | 'trustProxy'
  | 'corsOrigins'
  | 'ids'
  | 'requiredReferer'

/** The options as a service uses them: every default in place, durations in milliseconds. */
export interface ResolvedOptions extends Omit<Given, Changed> {
  readonly ttlMs: number
  readonly stallTimeoutMs: number
  readonly resumeWithinMs: number
  readonly heartbeatMs: number
  readonly tombstoneTtlMs: number
  readonly trust: Trust
  readonly cors: Cors
  readonly ids: { readonly matches: (id: string) => boolean; readonly generate: () => string }
  readonly requiredReferer: URL | undefined
}

const NAMES = namesOf('library', 'both')
const KNOWN = Object.fromEntries(NAMES.map((name) => [name, true] as const))

/** Checks the options and fills in the defaults. Throws EssError `usage`. */
export function resolveOptions(options: ServiceOptions): ResolvedOptions {
  checkOptionNames('createService', options, KNOWN, nearestName)
  const given = allGiven(NAMES, options)
  refuseLostSenders(given)
  const { ttl, stallTimeout, resumeWithin, heartbeat, tombstoneTtl, trustProxy, corsOrigins, ...rest } = given
  const { baseUrl, requiredReferer, ids, authorize } = given
  return {
    ...rest,
    ttlMs: 1000 * ttl,
    stallTimeoutMs: 1000 * stallTimeout,
    resumeWithinMs: 1000 * resumeWithin,
    heartbeatMs: 1000 * heartbeat,
    tombstoneTtlMs: 1000 * tombstoneTtl,
    baseUrl: baseUrl === undefined ? undefined : withoutSlash(baseUrl),
    trust: compileTrust(trustProxy ?? []),
    cors: compileCors(corsOrigins, authorize !== undefined),
    ids: ids === undefined ? { matches: isSocketId, generate: randomId } : compileIds(ids),
    requiredReferer: requiredReferer === null ? undefined : new URL(withoutSlash(requiredReferer)),
  }
}

function allGiven<Name extends OptionName>(names: readonly Name[], options: ServiceOptions): Given<Name> {
  const all: { -readonly [One in Name]?: GivenValue<One> } = {}
  for (const name of names) all[name] = checkedValue(name, options)
  if (hasAll<Given<Name>>(all, names)) return all
  throw new Error('An option has no value')
}

function checkedValue<Name extends OptionName>(name: Name, options: ServiceOptions): GivenValue<Name> {
  const { kind, ...bounds }: OptionRow = OPTIONS[name]
  const fallback: Options[Name]['default'] = OPTIONS[name].default
  const given = options[name]
  if (given !== undefined && given !== null) {
    checkOption(name, kind, given, bounds)
    return given
  }
  // Null stands for a default, but not for "none": `authorize: null` is a mistake, and must not open the server.
  if (given === null && fallback === undefined) checkOption(name, kind, given, bounds)
  return fallback
}

/** A sender that can't have an early response must be able to reserve. */
function refuseLostSenders({ earlyResponse, proxyHidesCuts, reservations }: Given): void {
  if (reservations || (earlyResponse && !proxyHidesCuts)) return
  const cause = earlyResponse ? '"proxyHidesCuts" is true' : '"earlyResponse" is false'
  throw new EssError(
    'usage',
    `Where ${cause}, "reservations" must be true: senders get their link no other way. Set it to true.`,
  )
}

function withoutSlash(url: string): string {
  return new URL(url).href.replace(/\/+$/, '')
}

function compileIds({ pattern, generate }: NonNullable<ServiceOptions['ids']>): ResolvedOptions['ids'] {
  // The whole id, whether or not the pattern is anchored, and whatever its flags remember.
  const whole = new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gy]/g, ''))
  return { matches: (id) => whole.test(id), generate }
}
