import type { Writable } from 'node:stream'
import { EssError, formatDuration } from '../../shared/index.js'
import type { Service } from '../broker/service.js'
import { createService } from '../index.js'
import { type Listening, listen } from '../listen/listen.js'
import { type CertificateReport, certificateInWords } from '../listen/tls.js'
import type { Admin } from '../ops/admin.js'
import type { AdminAddress } from '../ops/admin-address.js'
import { type Log, logService } from '../ops/log.js'
import { Outlet } from '../ops/outlet.js'
import { checksOf, problemLine, runChecks } from './check.js'
import { asksForCheck, type Flags, inFlagNames, parseFlags } from './flags.js'
import { listenTrouble } from './listen-trouble.js'
import { adminAddress, refuseExposed, serviceOptions, tlsOptions } from './settings.js'
import { openTokenFiles } from './token-files.js'

/** What the command has of the outside world; a test gives its own. */
export interface Io {
  readonly stdout: Writable
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** Calls back at each request to stop: SIGTERM, SIGINT. */
  onStop(listener: () => void): void
  /** Calls back at each request to read its files again: SIGHUP. */
  onReload?(listener: () => void): void
}

const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/**
 * `ess-server`: reads flags, environment and configuration file, listens, and serves until it is told to stop.
 * Resolves with the exit status: 0 stopped politely, 1 could not listen or was stopped by force, 2 usage.
 * With `--check` it only looks: 0 all is well, 1 this machine cannot do it now, 2 what was asked for is wrong.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // Also what makes an error on either of them harmless, whoever has written.
  const stderr = new Outlet(io.stderr)
  const stdout = new Outlet(io.stdout)
  try {
    const flags = await parseFlags(argv, { stdout, env: io.env })
    if (flags === undefined) return await printed(EXIT.ok, stdout, stderr)
    if (flags.check) return await printed(await runChecks(checksOf(flags), stdout), stdout, stderr)
    return await serve(flags, io, stdout, stderr)
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    // Nothing else is thrown before it listens.
    const message = inFlagNames(error.message)
    if (!asksForCheck(argv, io.env)) stderr.write(`ess-server: ${message}\n`)
    else {
      stdout.write(problemLine('options', message))
      await printed(EXIT.usage, stdout, stderr)
    }
    return EXIT.usage
  }
}

/** `status`, unless what was to be printed could not be. A reader that has left has read what it wanted. */
async function printed(status: number, stdout: Outlet, stderr: Outlet): Promise<number> {
  const error = await stdout.settled()
  if (error === undefined || error.code === 'EPIPE') return status
  stderr.write(`ess-server: cannot write to stdout: ${error.code}\n`)
  return status === EXIT.ok ? EXIT.failed : status
}

async function serve(flags: Flags, io: Io, stdout: Outlet, stderr: Outlet): Promise<number> {
  const { host, port, drain } = flags
  const failed = (what: string) => {
    stderr.write(`ess-server: ${what}\n`)
    return EXIT.failed
  }
  const options = serviceOptions(flags)
  const operators = adminAddress(flags)
  const tls = tlsOptions(flags)
  const unresolved = await refuseExposed(flags)
  if (unresolved !== undefined)
    return failed(`cannot listen on ${host}:${port}: ${listenTrouble(unresolved)}`)
  const tokens = await openTokenFiles({ send: flags.sendTokens, receive: flags.receiveTokens })
  const service = createService({ ...options, ...(tokens !== undefined && { authorize: tokens.authorize }) })
  if (tls !== undefined) service.relay.goByStreamsOnly()
  await service.relay.ready()
  const { gear, why } = service.relay
  if (flags.relay !== 'auto' && gear !== flags.relay)
    return failed(`cannot relay by ${flags.relay} here: ${why}`)
  const log = logService(service, flags.log, stderr)
  const { note } = log
  stdout.onBroken((error) =>
    note(`nothing more can be written to stdout (${error.code}); the server goes on`),
  )
  const admin = operators && (await startAdmin(service, operators, log, stderr))
  if (admin === 'failed') return EXIT.failed
  const noteReload = (report: CertificateReport, isTaken: boolean) =>
    note(
      `certificate ${isTaken ? 'read again' : 'not taken, the old one stays'}: ${certificateInWords(report)}`,
    )
  const server = await listen(service, {
    host,
    port,
    maxConnectionsPerClient: flags.maxConnectionsPerClient,
    ...(tls !== undefined && { tls: { ...tls, onReload: noteReload } }),
  }).catch((error: unknown) => {
    failed(`cannot listen on ${host}:${port}: ${listenTrouble(error)}`)
  })
  if (server === undefined) {
    await admin?.close()
    return EXIT.failed
  }
  admin?.ready()
  const stopped = untilStopped(server, drain, io, note)
  note(`relay by ${gear}${why === undefined ? '' : ` (${why})`}`)
  if (tokens !== undefined) {
    tokens.watch(note)
    // It never rejects: how it went is told by the log.
    io.onReload?.(() => void tokens.reload())
  }
  if (server.certificate !== undefined) {
    note(`certificate: ${certificateInWords(server.certificate)}`)
    // The same.
    io.onReload?.(() => void server.reload())
  }
  // Whoever reads this line may stop the server at once.
  stdout.write(`listening on ${server.url}\n${admin === undefined ? '' : `admin on ${admin.url}\n`}`)
  const status = await stopped
  tokens?.close()
  // Until here it said how the drain went.
  await admin?.close()
  return status
}

/** The operator's listener. It and its library are loaded only here, because most servers start without. */
async function startAdmin(
  service: Service,
  address: AdminAddress,
  log: Log,
  stderr: Outlet,
): Promise<Admin | 'failed'> {
  const { listenAdmin } = await import('../ops/admin.js')
  try {
    const admin = await listenAdmin(service, address, log)
    if (!admin.isPrivate)
      stderr.write(`ess-server: warning: whoever reaches ${admin.url} can read its metrics\n`)
    return admin
  } catch (error) {
    stderr.write(
      `ess-server: cannot listen on ${address.host}:${address.port} for --admin: ${listenTrouble(error)}\n`,
    )
    return 'failed'
  }
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
