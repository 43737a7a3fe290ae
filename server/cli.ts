import type { Writable } from 'node:stream'
import { EssError, formatDuration, parseByteSize } from '../shared/index.js'
import { type Flags, parseFlags } from './flags.js'
import { createService } from './index.js'
import { type Listening, listen } from './listen.js'
import { logService } from './log.js'
import { MAX_SECONDS } from './options.js'
import type { CertificateReport, TlsOptions } from './tls.js'

/** What the command has of the outside world; a test gives its own. */
export interface Io {
  readonly stdout: Writable
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** Calls back at each request to stop: SIGTERM, SIGINT. */
  onStop(listener: () => void): void
  /** Calls back at each request to read files again: SIGHUP. Where it is not asked for, that is left to Node. */
  onReload?(listener: () => void): void
}

const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/**
 * `ess-server`: reads flags and environment, listens, and serves until it is told to stop.
 * Resolves with the exit status: 0 stopped politely, 1 could not listen or was stopped by force, 2 usage.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    const flags = await parseFlags(argv, io)
    return flags === undefined ? EXIT.ok : await serve(flags, io)
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    // Nothing else is thrown before it listens.
    // The library says "maxSockets" where the command says --max-sockets.
    const message = error.message.replace(
      /"([a-z]+(?:[A-Z][a-z]+)*)" to /,
      (_all, name: string) => `--${kebab(name)} to `,
    )
    io.stderr.write(`ess-server: ${message}\n`)
    return EXIT.usage
  }
}

async function serve(flags: Flags, io: Io): Promise<number> {
  const { host, port, drain, baseUrl, trustProxy } = flags
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
  const service = createService({
    ttl: flags.ttl,
    maxUploadBytes,
    maxSockets: flags.maxSockets,
    stallTimeout: flags.stallTimeout,
    heartbeat: flags.heartbeat,
    reservations: flags.reservations,
    requiredReferer: flags.requiredReferer ?? null,
    earlyResponse: flags.earlyResponse,
    proxyFullDuplex: flags.proxyFullDuplex,
    proxyHidesCuts: flags.proxyHidesCuts,
    relay: flags.relay,
    ...(baseUrl !== undefined && { baseUrl }),
    ...(trustProxy !== undefined && { trustProxy: trustProxy.split(',').map((proxy) => proxy.trim()) }),
  })
  if (flags.tlsCert !== undefined) service.relay.takeNothingRaw()
  await service.relay.ready()
  const { gear, why } = service.relay
  if (flags.relay !== 'auto' && gear !== flags.relay) {
    io.stderr.write(`ess-server: cannot relay by ${flags.relay} here: ${why}\n`)
    return EXIT.failed
  }
  const note = logService(service, flags.log, io.stderr)
  const tls = tlsOf(flags, note)
  const server = await listen(service, { host, port, ...(tls && { tls }) }).catch((error: unknown) => {
    io.stderr.write(`ess-server: cannot listen on ${host}:${port}: ${listenTrouble(error)}\n`)
  })
  if (server === undefined) return EXIT.failed
  const stopped = untilStopped(server, drain, io, note)
  note(`relay by ${gear}${why === undefined ? '' : ` (${why})`}`)
  if (server.certificate !== undefined) {
    note(`certificate: ${inWords(server.certificate)}`)
    // It never rejects: how it went is told by the log.
    io.onReload?.(() => void server.reload())
  }
  // Whoever reads this line may stop the server at once.
  io.stdout.write(`listening on ${server.url}\n`)
  return await stopped
}

/** Undefined for plain HTTP. */
function tlsOf(
  { tlsCert: certFile, tlsKey: keyFile, tlsMin: minVersion }: Flags,
  note: (message: string) => void,
): TlsOptions | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile === undefined || keyFile === undefined) {
    const [got, missing] = certFile === undefined ? ['key', 'cert'] : ['cert', 'key']
    throw new EssError('usage', `Expected --tls-${missing} together with --tls-${got}`)
  }
  return {
    certFile,
    keyFile,
    minVersion,
    onReload: (report, isTaken) =>
      note(`certificate ${isTaken ? 'read again' : 'not taken, the old one stays'}: ${inWords(report)}`),
  }
}

function inWords({ subject, names, notAfter, problems }: CertificateReport): string {
  const whose = [subject, ...names].filter((name) => name !== '').join(', ')
  const until = notAfter && `until ${notAfter.toISOString()}`
  return [whose, until, ...problems].filter(Boolean).join('; ')
}

/** The first request to stop is a polite one; the second ends what still runs. */
function untilStopped(
  server: Listening,
  drainSeconds: number,
  io: Io,
  note: (message: string) => void,
): Promise<number> {
  return new Promise((resolve) => {
    let requests = 0
    io.onStop(() => {
      requests++
      if (requests === 1) {
        note(`stopping; running transfers have ${formatDuration(drainSeconds)} to finish`)
        void server.stop(1000 * drainSeconds).then(() => resolve(requests === 1 ? EXIT.ok : EXIT.failed))
      } else {
        void server.stopNow()
      }
    })
  })
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function listenTrouble(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: 'the port is in use',
    EACCES: 'this user may not use that port',
    EADDRNOTAVAIL: 'this machine does not have that address',
    ENOTFOUND: 'there is no such host',
  }
  return (code !== undefined && words[code]) || message
}
