import type { ServiceOptions } from '../broker/options.js'
import { brokerOf } from '../embed.js'
import { createService } from '../index.js'
import { type Listening, listen } from '../listen/listen.js'
import { type CertificateReport, certificateInWords, type TlsOptions } from '../listen/tls.js'
import type { Admin } from '../ops/admin.js'
import type { AdminAddress } from '../ops/admin-address.js'
import { type Log, logService } from '../ops/log.js'
import type { Outlet } from '../ops/outlet.js'
import type { Flags } from './flags.js'
import { listenTrouble, NODES, relayTrouble, shownAddress } from './listen-trouble.js'
import { isNode } from './settings.js'
import type { TokenFiles } from './token-files.js'

/** What a server is made of, read from its flags. */
export interface BackendSetup {
  readonly flags: Flags
  readonly options: ServiceOptions
  readonly tls: TlsOptions | undefined
  readonly tokens: TokenFiles | undefined
  readonly stderr: Outlet
}

/** What serves: one service in this process, or several workers. */
export interface Backend {
  readonly log: Log
  /** The best gear that works here, and why none is better. */
  readonly relay: { readonly gear: string; readonly why: string | undefined }
  /** Starts the operator's listener. Rejects with Node's own error. */
  listenAdmin(address: AdminAddress): Promise<Admin>
  /** Listens at the address of the flags. Rejects with Node's own error, or one that names the trouble. */
  listen(): Promise<Listening>
  /** Where other nodes of its cluster reach it, as `HOST:PORT`; undefined for a server that is alone. */
  readonly nodesAddress: string | undefined
  /** Ends what was begun. Call it last. */
  close(): Promise<void>
}

/** One service in this process. Rejects with EssError `usage`, or with an Error that says why it can't serve. */
export async function oneServer({ flags, options, tls, tokens, stderr }: BackendSetup): Promise<Backend> {
  // Its code and its library are loaded only here, because most servers are alone.
  const clusters = isNode(flags) ? await import('./cluster.js') : undefined
  const settings = await clusters?.clusterSettings(flags)
  const embedded = createService({
    ...options,
    ...(tokens !== undefined && { authorize: tokens.authorize }),
    ...(settings !== undefined && { ids: settings.ids }),
  })
  const service = brokerOf(embedded)
  if (tls !== undefined) service.relay.goByStreamsOnly()
  await service.relay.ready()
  refuseOtherGear(flags, service.relay)
  const log = logService(service, flags.log, stderr)
  const membership =
    settings &&
    (await clusters?.joinCluster(settings, service, log).catch((error: unknown) => {
      const { host, port } = settings.listenAt
      throw new Error(listenTrouble(shownAddress(host, port), error, NODES))
    }))
  return {
    log,
    relay: service.relay,
    nodesAddress: membership?.address,
    listenAdmin: async (address) => {
      // Its code and its library are loaded only here, because most servers have none.
      const { listenAdmin } = await import('../ops/admin.js')
      return await listenAdmin(service, address, log, membership?.locator)
    },
    listen: () =>
      listen(embedded, {
        host: flags.host,
        port: flags.port,
        maxConnectionsPerClient: flags.maxConnectionsPerClient,
        ...(tls !== undefined && { tls: { ...tls, onReload: reloadNotes(log) } }),
      }),
    close: async () => await membership?.close(),
  }
}

/** Throws an Error if the gear that `--relay` names doesn't work. */
export function refuseOtherGear({ relay }: Flags, { gear, why }: Backend['relay']): void {
  if (relay !== 'auto' && gear !== relay) throw new Error(relayTrouble(relay, why))
}

/** Says in the log what became of a certificate that was read again. */
export function reloadNotes({ note }: Pick<Log, 'note'>) {
  return (report: CertificateReport, isTaken: boolean) =>
    note(
      `certificate ${isTaken ? 'read again' : 'not taken, the old one stays'}: ${certificateInWords(report)}`,
    )
}
