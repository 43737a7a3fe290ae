import type { Writable } from 'node:stream'
import { EssError, formatDuration } from '../../shared/index.js'
import type { Listening } from '../listen/listen.js'
import { certificateInWords } from '../listen/tls.js'
import type { Admin } from '../ops/admin.js'
import type { AdminAddress } from '../ops/admin-address.js'
import { Outlet } from '../ops/outlet.js'
import { type Backend, type BackendSetup, oneServer } from './backend.js'
import { checksOf, problemLine, runChecks } from './check.js'
import { asksForCheck, type Flags, inFlagNames, parseFlags, strangeVariables } from './flags.js'
import { ADMIN, listenTrouble, shownAddress } from './listen-trouble.js'
import { adminAddress, refuseExposed, serviceOptions, tlsOptions, workerCount } from './settings.js'
import { openTokenFiles } from './token-files.js'

/** The outside world, as the command sees it. A test gives its own. */
export interface Io {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** Calls back for each request to stop: SIGTERM, SIGINT. */
  onStop(listener: () => void): void
  /** Calls back for each request to read the files again: SIGHUP. */
  onReload?(listener: () => void): void
}

const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/**
 * `ess-server`: reads flags, environment and configuration file, listens, and serves until it is told to stop.
 * Resolves with the exit status: 0 stopped politely, 1 couldn't listen or was stopped by force, 2 usage.
 * With `--check` it only looks: 0 if all is well, 1 if this machine can't do it now, 2 if an option is wrong.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // An outlet also keeps an error of its stream from ending the process.
  const stderr = new Outlet(io.stderr)
  const stdout = new Outlet(io.stdout)
  try {
    const flags = await parseFlags(argv, { stdout, columns: io.stdout.columns, env: io.env })
    if (flags === undefined) return await printed(EXIT.ok, stdout, stderr)
    const strange = strangeVariables(io.env)
    for (const words of strange)
      if (flags.check) stdout.write(`warning: environment: ${words}\n`)
      else stderr.write(`ess-server: warning: ${words}\n`)
    if (flags.check) return await printed(await runChecks(checksOf(flags), stdout), stdout, stderr)
    return await serve(flags, argv, io, stdout, stderr)
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    // Before the server listens, an EssError is about an option.
    const message = inFlagNames(error.message)
    if (!asksForCheck(argv, io.env)) stderr.write(`ess-server: ${message} [${error.code}]\n`)
    else {
      stdout.write(problemLine('options', message))
      await printed(EXIT.usage, stdout, stderr)
    }
    return EXIT.usage
  }
}

/** Resolves with `status`, or with 1 if stdout took no output. A reader that left (`| head`) is no failure. */
async function printed(status: number, stdout: Outlet, stderr: Outlet): Promise<number> {
  const error = await stdout.settled()
  if (error === undefined || error.code === 'EPIPE') return status
  stderr.write(`ess-server: Cannot write to standard output (${error.code}).\n`)
  return status === EXIT.ok ? EXIT.failed : status
}

async function serve(
  flags: Flags,
  argv: readonly string[],
  io: Io,
  stdout: Outlet,
  stderr: Outlet,
): Promise<number> {
  const { host, port, drain } = flags
  const failed = (what: string) => {
    stderr.write(`ess-server: ${what}\n`)
    return EXIT.failed
  }
  const options = serviceOptions(flags)
  const operators = adminAddress(flags)
  const tls = tlsOptions(flags)
  const unresolved = await refuseExposed(flags)
  if (unresolved !== undefined) return failed(listenTrouble(shownAddress(host, port), unresolved))
  const tokens = await openTokenFiles({ send: flags.sendTokens, receive: flags.receiveTokens })
  const backend = await startBackend({ flags, options, tls, tokens, stderr }).catch((error: unknown) => {
    if (error instanceof EssError) throw error
    failed(listenTrouble(shownAddress(host, port), error))
  })
  if (backend === undefined) return EXIT.failed
  const { gear, why } = backend.relay
  const { note } = backend.log
  stdout.onBroken((error) => note(`standard output is gone (${error.code}); the server goes on`))
  const admin = operators && (await startAdmin(backend, operators, stderr))
  if (admin === 'failed') {
    await backend.close()
    return EXIT.failed
  }
  const server = await backend.listen().catch((error: unknown) => {
    failed(listenTrouble(shownAddress(host, port), error))
  })
  if (server === undefined) {
    await admin?.close()
    await backend.close()
    return EXIT.failed
  }
  admin?.ready()
  const stopped = untilStopped(server, drain, io, note)
  note(`relay by ${gear}${why === undefined ? '' : ` (${why})`}`)
  if (tokens !== undefined) {
    tokens.watch(note)
    // It never rejects: the log says how it went.
    io.onReload?.(() => void tokens.reload())
  }
  if (server.certificate !== undefined) {
    note(`certificate: ${certificateInWords(server.certificate)}`)
    // It never rejects either.
    io.onReload?.(() => void server.reload())
  }
  // A program that reads this line may stop the server at once, so everything else has to be in place by now.
  const more = [
    ...(admin === undefined ? [] : [`admin on ${admin.url}\n`]),
    ...(backend.nodesAddress === undefined ? [] : [`nodes on ${backend.nodesAddress}\n`]),
  ]
  stdout.write(`listening on ${server.url}\n${more.join('')}`)
  if (io.stdout.isTTY === true) {
    const { firstScreen } = await import('./first-screen.js')
    stdout.write(await firstScreen(server, flags, argv))
  }
  const status = await stopped
  tokens?.close()
  // Its metrics stay until the drain is over.
  await admin?.close()
  await backend.close()
  return status
}

/** One server in this process, or several workers; their code is loaded only here, because most servers have none. */
async function startBackend(setup: BackendSetup): Promise<Backend> {
  const count = workerCount(setup.flags)
  if (count === 1) return await oneServer(setup)
  const { severalWorkers } = await import('./several-workers.js')
  return await severalWorkers(setup, count)
}

async function startAdmin(
  backend: Backend,
  address: AdminAddress,
  stderr: Outlet,
): Promise<Admin | 'failed'> {
  try {
    const admin = await backend.listenAdmin(address)
    if (!admin.isPrivate)
      stderr.write(
        `ess-server: warning: anyone who reaches ${admin.url} can read the metrics there. Listen on 127.0.0.1 to keep them on this machine.\n`,
      )
    return admin
  } catch (error) {
    stderr.write(`ess-server: ${listenTrouble(shownAddress(address.host, address.port), error, ADMIN)}\n`)
    return 'failed'
  }
}

/** The first request to stop lets running transfers finish; the second ends them. */
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
