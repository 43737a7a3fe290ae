import { EssError, parseByteSize } from '../../shared/index.js'
import { MAX_SECONDS, type ServiceOptions } from '../broker/options.js'
import type { TlsOptions } from '../listen/tls.js'
import { type AdminAddress, parseAdminAddress } from '../ops/admin-address.js'
import { isExposed } from '../ops/exposure.js'
import type { Flags } from './flags.js'

/** What the flags ask of the service, but for the tokens, which are in files. Throws EssError `usage`. */
export function serviceOptions(flags: Flags): ServiceOptions {
  const { port, drain, baseUrl, trustProxy } = flags
  if (port > 65_535) throw new EssError('usage', `Expected --port to be at most 65535, got ${port}`)
  if (drain > MAX_SECONDS)
    throw new EssError(
      'usage',
      `Expected --drain to be at most ${Math.floor(MAX_SECONDS)} seconds, got ${drain}`,
    )
  const maxUploadBytes = parseByteSize(flags.maxUploadBytes)
  if (maxUploadBytes === undefined) {
    const got = JSON.stringify(flags.maxUploadBytes)
    throw new EssError(
      'usage',
      `Expected --max-upload-bytes to be a size such as 1073741824 or 10GiB, got ${got}`,
    )
  }
  return {
    ttl: flags.ttl,
    maxUploadBytes,
    maxSockets: flags.maxSockets,
    maxSocketsPerClient: flags.maxSocketsPerClient,
    maxReservationsPerClient: flags.maxReservationsPerClient,
    maxWaitingPerClient: flags.maxWaitingPerClient,
    maxMissesPerClient: flags.maxMissesPerClient,
    stallTimeout: flags.stallTimeout,
    heartbeat: flags.heartbeat,
    reservations: flags.reservations,
    requiredReferer: flags.requiredReferer ?? null,
    earlyResponse: flags.earlyResponse,
    proxyFullDuplex: flags.proxyFullDuplex,
    proxyHidesCuts: flags.proxyHidesCuts,
    relay: flags.relay,
    corsOrigins: listOf(flags.corsOrigin),
    ...(baseUrl !== undefined && { baseUrl }),
    ...(trustProxy !== undefined && { trustProxy: listOf(trustProxy) }),
  }
}

function listOf(text: string): string[] {
  return text.split(',').map((member) => member.trim())
}

/** Where the operator's own listener is to be; undefined for none. Throws EssError `usage`. */
export function adminAddress({ admin }: Flags): AdminAddress | undefined {
  return admin === undefined ? undefined : parseAdminAddress(admin)
}

/** Undefined for plain HTTP. Throws EssError `usage`. */
export function tlsOptions({ tlsCert, tlsKey, tlsMin, hstsMaxAge, relay }: Flags): TlsOptions | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) {
    const [got, missing] = tlsCert === undefined ? ['key', 'cert'] : ['cert', 'key']
    throw new EssError('usage', `Expected --tls-${missing} together with --tls-${got}`)
  }
  if (relay !== 'auto' && relay !== 'streams')
    throw new EssError(
      'usage',
      `Expected --relay to be auto or streams together with --tls-cert, got ${relay}: all that goes by TLS goes by streams`,
    )
  return { certFile: tlsCert, keyFile: tlsKey, minVersion: tlsMin, hstsMaxAge }
}

/**
 * Throws EssError `usage` where anybody could send through this server and nobody has said that they may. Gives
 * Node's own error for a host that is not to be found.
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
    `--host ${host} lets anybody who reaches this machine send through it: say who may with --send-tokens FILE, say --open if that is meant, or listen on --host 127.0.0.1`,
  )
}
