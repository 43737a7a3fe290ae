import { createServer, type Server } from 'node:net'
import { EssError } from '../../shared/index.js'
import { OPTIONS } from '../broker/option-table.js'
import { resolveOptions } from '../broker/options.js'
import { certificateInWords, checkCertificate, type TlsOptions } from '../listen/tls.js'
import type { LineWriter } from '../ops/outlet.js'
import { Relay, type RelayMode } from '../relay/relay.js'
import { type Flags, inFlagNames } from './flags.js'
import { ADMIN, listenTrouble, NODES, relayTrouble, type Setters, shownAddress } from './listen-trouble.js'
import { adminAddress, isNode, refuseExposed, serviceOptions, tlsOptions, workerCount } from './settings.js'
import { openTokenFiles } from './token-files.js'

/** One thing that `--check` looks at. */
export interface Check {
  readonly name: string
  /**
   * The exit status of a problem: 2, the default, if an option is wrong; 1 if this machine can't do it now. An address
   * that can't be listened at is 1 in any case.
   */
  readonly exit?: 1 | 2
  /** May return what it found, in words. For a problem, throws EssError or the system's error. */
  readonly run: () => unknown
}

/** Everything that `--check` looks at, in the order in which a start meets it. Throws EssError `usage`. */
export function checksOf(flags: Flags): Check[] {
  const tls = tlsOptions(flags)
  const admin = adminAddress(flags)
  return [
    // The file was read before the flags.
    ...(flags.config === undefined ? [] : [{ name: 'config', run: () => flags.config }]),
    {
      name: 'options',
      run: () => {
        resolveOptions(serviceOptions(flags))
        workerCount(flags)
      },
    },
    ...(flags.open ? [] : [{ name: 'exposure', run: () => refuseExposed(flags).then(() => undefined) }]),
    ...(flags.sendTokens === undefined
      ? []
      : [{ name: 'send-tokens', run: () => readTokens({ send: flags.sendTokens, receive: undefined }) }]),
    ...(flags.receiveTokens === undefined
      ? []
      : [
          {
            name: 'receive-tokens',
            run: () => readTokens({ send: undefined, receive: flags.receiveTokens }),
          },
        ]),
    ...(!isNode(flags)
      ? []
      : [
          {
            name: 'cluster',
            // Whether Redis is there is no matter of the start: it may come later.
            run: async () => {
              const { clusterSettings } = await import('./cluster.js')
              const { host, port } = (await clusterSettings(flags)).listenAt
              return await canListenBeside(flags, host, port, NODES)
            },
          },
        ]),
    ...(tls === undefined ? [] : [{ name: 'certificate', run: () => useCertificate(tls) }]),
    { name: 'relay', exit: 1, run: () => relayOf(flags.relay, tls !== undefined) },
    ...(isPort(flags.port)
      ? [{ name: 'listen', exit: 1 as const, run: () => canListen(flags.host, flags.port) }]
      : []),
    ...(admin === undefined
      ? []
      : [
          {
            name: 'admin',
            exit: 1 as const,
            run: () => canListenBeside(flags, admin.host, admin.port, ADMIN),
          },
        ]),
  ]
}

/**
 * Runs the checks in turn, and writes a line for each. Resolves with the exit status: 2 if any option is wrong,
 * otherwise 1 if this machine can't do something, otherwise 0.
 */
export async function runChecks(checks: readonly Check[], stdout: LineWriter): Promise<number> {
  const exits: number[] = [0]
  for (const { name, exit = 2, run } of checks) {
    try {
      const found = await run()
      stdout.write(`ok: ${name}${typeof found === 'string' ? `: ${found}` : ''}\n`)
    } catch (error) {
      if (!isExpected(error)) throw error
      stdout.write(problemLine(name, inFlagNames(error.message)))
      exits.push(isListenTrouble(error) ? 1 : exit)
    }
  }
  return Math.max(...exits)
}

/** The line of `--check` for a problem. */
export function problemLine(name: string, message: string): string {
  return `problem: ${name}: ${message}\n`
}

/** Another address of this server, while it listens at its own: they may be one. */
async function canListenBeside(own: Flags, host: string, port: number, setters: Setters): Promise<string> {
  if (own.port === 0) return await canListen(host, port, setters)
  const server = await listenAt(own.host, own.port).catch(() => undefined)
  try {
    return await canListen(host, port, setters)
  } finally {
    if (server !== undefined) await closed(server)
  }
}

/** Listens there for an instant, and serves no connection. Throws EssError `usage` if it can't listen. */
export async function canListen(host: string, port: number, setters?: Setters): Promise<string> {
  const server = await listenAt(host, port).catch((cause: unknown) => {
    throw new EssError('usage', listenTrouble(shownAddress(host, port), cause, setters), { cause })
  })
  await closed(server)
  return port === 0 ? `${host}, any free port` : shownAddress(host, port)
}

/** Any other has been refused among the options. */
function isPort(port: number): boolean {
  return port <= (OPTIONS.port.most ?? 0)
}

async function listenAt(host: string, port: number): Promise<Server> {
  const server = createServer((connection) => connection.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return server
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()))
}

async function relayOf(mode: RelayMode, isTls: boolean): Promise<string> {
  const relay = new Relay(mode)
  if (isTls) relay.goByStreamsOnly()
  try {
    await relay.ready()
    const { gear, why } = relay
    if (mode !== 'auto' && gear !== mode) throw new EssError('usage', relayTrouble(mode, why))
    return why === undefined ? gear : `${gear} (${why})`
  } finally {
    await relay.close()
  }
}

async function useCertificate(tls: TlsOptions): Promise<string> {
  const report = await checkCertificate(tls)
  if (report.problems.length > 0) throw new EssError('usage', report.problems.join(' '))
  return certificateInWords(report)
}

async function readTokens(files: Parameters<typeof openTokenFiles>[0]): Promise<undefined> {
  const tokens = await openTokenFiles(files)
  tokens?.close()
}

/** True if an address can't be listened at, which no option makes right or wrong for every machine. */
function isListenTrouble({ cause }: Error): boolean {
  return cause instanceof Error && 'syscall' in cause && cause.syscall === 'listen'
}

/** True for our own errors and for the system's about a file or a port. Anything else is a bug, and crashes. */
function isExpected(error: unknown): error is Error {
  return error instanceof EssError || (error instanceof Error && 'syscall' in error)
}
