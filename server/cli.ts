import type { Writable } from 'node:stream'
import { EssError, formatDuration, parseByteSize } from '../shared/index.js'
import { checksOf, problemLine, runChecks } from './check.js'
import { asksForCheck, type Flags, inFlagNames, parseFlags } from './flags.js'
import { createService } from './index.js'
import { type Listening, listen } from './listen.js'
import { listenTrouble } from './listen-trouble.js'
import { logService } from './log.js'
import { MAX_SECONDS, type ServiceOptions } from './options.js'

/** What the command has of the outside world; a test gives its own. */
export interface Io {
  readonly stdout: Writable
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** Calls back at each request to stop: SIGTERM, SIGINT. */
  onStop(listener: () => void): void
}

const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/**
 * `ess-server`: reads flags, environment and configuration file, listens, and serves until it is told to stop.
 * Resolves with the exit status: 0 stopped politely, 1 could not listen or was stopped by force, 2 usage.
 * With `--check` it only looks: 0 all is well, 1 this machine cannot do it now, 2 what was asked for is wrong.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    const flags = await parseFlags(argv, io)
    if (flags === undefined) return EXIT.ok
    if (flags.check) return await runChecks(checksOf(flags, serviceOptions), io.stdout)
    return await serve(flags, io)
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    // Nothing else is thrown before it listens.
    const message = inFlagNames(error.message)
    if (asksForCheck(argv, io.env)) io.stdout.write(problemLine('options', message))
    else io.stderr.write(`ess-server: ${message}\n`)
    return EXIT.usage
  }
}

/** What the flags ask of the service. Throws EssError `usage`. */
function serviceOptions(flags: Flags): ServiceOptions {
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
  }
}

async function serve(flags: Flags, io: Io): Promise<number> {
  const { host, port, drain } = flags
  const service = createService(serviceOptions(flags))
  await service.relay.ready()
  const { gear, why } = service.relay
  if (flags.relay !== 'auto' && gear !== flags.relay) {
    io.stderr.write(`ess-server: cannot relay by ${flags.relay} here: ${why}\n`)
    return EXIT.failed
  }
  const note = logService(service, flags.log, io.stderr)
  const server = await listen(service, { host, port }).catch((error: unknown) => {
    io.stderr.write(`ess-server: cannot listen on ${host}:${port}: ${listenTrouble(error)}\n`)
  })
  if (server === undefined) return EXIT.failed
  const stopped = untilStopped(server, drain, io, note)
  note(`relay by ${gear}${why === undefined ? '' : ` (${why})`}`)
  // Whoever reads this line may stop the server at once.
  io.stdout.write(`listening on ${server.url}\n`)
  return await stopped
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
