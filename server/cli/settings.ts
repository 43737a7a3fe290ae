import { availableParallelism } from 'node:os'
import { EssError } from '../../shared/index.js'
import { checkOption } from '../broker/option-checks.js'
import type { FlagRow } from '../broker/option-kinds.js'
import { type NameOf, namesOf } from '../broker/option-names.js'
import { OPTIONS } from '../broker/option-table.js'
import type { ServiceOptions } from '../broker/options.js'
import type { TlsOptions } from '../listen/tls.js'
import { type AdminAddress, parseAdminAddress } from '../ops/admin-address.js'
import { isExposed } from '../ops/exposure.js'
import type { Flags } from './flags.js'

const FLAGS = namesOf('command')
const SERVICE_FLAGS = namesOf('both')

/**
 * The options of the service. The tokens are not among them, because they are in files. Throws EssError `usage` for a
 * flag of the command's own that is out of bounds; the service checks the others.
 */
export function serviceOptions(flags: Flags): ServiceOptions {
  for (const name of FLAGS) {
    const { kind, ...bounds }: FlagRow = OPTIONS[name]
    const value = flags[name]
    if (value !== undefined) checkOption(name, kind, value, bounds)
  }
  return given(flags, SERVICE_FLAGS)
}

type ServiceFlag = NameOf<'both'>

/** The flags that have a value. */
function given<Name extends ServiceFlag>(flags: Flags, names: readonly Name[]) {
  const values: { [One in Name]?: Flags[One] & (NonNullable<unknown> | null) } = {}
  for (const name of names) {
    const value = flags[name]
    if (value !== undefined) values[name] = value
  }
  return values
}

/** The address of the operator's listener; undefined without `--admin`. Throws EssError `usage`. */
export function adminAddress({ admin }: Flags): AdminAddress | undefined {
  return admin === undefined ? undefined : parseAdminAddress(admin)
}

/** The options of TLS; undefined for plain HTTP. Throws EssError `usage`. */
export function tlsOptions({ tlsCert, tlsKey, tlsMin, hstsMaxAge, relay }: Flags): TlsOptions | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) {
    const [got, missing] = tlsCert === undefined ? ['key', 'cert'] : ['cert', 'key']
    throw new EssError('usage', `--tls-${got} needs --tls-${missing} too. Add it, or leave both out.`)
  }
  if (relay !== 'auto' && relay !== 'streams')
    throw new EssError(
      'usage',
      `--relay ${relay} does not work with --tls-cert: over TLS, everything goes by streams. Leave --relay out.`,
    )
  return { certFile: tlsCert, keyFile: tlsKey, minVersion: tlsMin, hstsMaxAge }
}

/**
 * Throws EssError `usage` if any machine could send through this server, without `--send-tokens` and without `--open`.
 * Resolves with Node's own error if the host can't be found.
 */
export async function refuseExposed({ host, open, sendTokens }: Flags): Promise<unknown> {
  if (open || sendTokens !== undefined) return undefined
  let isPublic: boolean
  try {
    isPublic = await isExposed(host)
  } catch (error) {
    return error
  }
  if (!isPublic) return undefined
  throw new EssError(
    'usage',
    `With --host ${host}, anyone who reaches this machine could send through it. Add --send-tokens FILE to choose who may, --open to let anyone, or listen on --host 127.0.0.1.`,
  )
}

/** True if this server is one of several. */
export function isNode(flags: Flags): boolean {
  const { cluster, clusterPasswordFile, clusterListen, clusterAddress, clusterSecretFile } = flags
  const all = [cluster, clusterPasswordFile, clusterListen, clusterAddress, clusterSecretFile]
  return flags.clusterTls || all.some((value) => value !== undefined)
}

/** How many processes serve. Throws EssError `usage` for several in a cluster. */
export function workerCount(flags: Flags): number {
  const { workers } = flags
  const count = workers === 'auto' ? availableParallelism() : workers
  if (count > 1 && isNode(flags))
    throw new EssError(
      'usage',
      `--workers ${workers} does not work with --cluster. Leave --workers out, and start a node for each core, with its own --port and --cluster-listen.`,
    )
  return count
}
