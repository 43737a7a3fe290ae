import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BUNDLE } from './starts.js'
import { type Command, SubjectRefused } from './subject-process.js'

/** Where a tool's ends find everything. */
export interface Stage {
  /** The folder of the compiled ESS. */
  readonly essDist: string
  /** The tool's own relay, on loopback. */
  readonly relayPort: number
  /** What runs beside the relay, where the tool has such a thing. */
  readonly helperPort: number
  /** Words that both ends know, for a tool that lets the sender choose them. */
  readonly code: string
}

/** An end of a transfer: a program, and what its environment says. */
export interface End extends Command {
  readonly variables?: Readonly<Record<string, string>>
}

/** A program that sends a file or a folder from one machine to another. */
export interface Tool {
  /** Its relay, where that isn't ESS. */
  readonly relay?: (port: number) => Command
  /** A second server that its ends need. */
  readonly helper?: (port: number) => Command
  /** What the sender prints when a receiver may start; for `ess` the link itself. */
  readonly ready: RegExp
  send(stage: Stage, path: string): End
  /** Receives into the folder it is started in. */
  get(stage: Stage, readyWords: string): End
}

/** By `peers/install.sh`. */
export const INSTALLED = join(import.meta.dirname, '../../bench/peers/installed')

/** By the name under which each is measured. All but `ess` seal what they send. */
export const TOOLS: Readonly<Record<string, Tool>> = {
  'ess -e': ess('-e'),
  ess: ess(),
  // Through its relay alone. By itself, the sender is a relay too, and the receiver finds that one if it can.
  croc: croc(['--no-local']),
  // It compresses by default, which costs much where nothing can be gained.
  'croc --no-compress': croc(['--no-local'], ['--no-compress']),
  'croc --zip': croc(['--no-local', '--zip']),
  'croc, direct': croc([]),
  wormhole: wormhole('--no-listen'),
  'wormhole, direct': wormhole('--listen'),
}

function ess(...options: readonly string[]): Tool {
  const run = (essDist: string, ...args: readonly string[]) => ({
    file: process.execPath,
    args: [join(essDist, BUNDLE), ...args],
  })
  return {
    ready: /^http\S+(?=\n)/m,
    send: ({ essDist, relayPort }, path) =>
      run(essDist, 'send', '--no-progress', ...options, '--server', `http://127.0.0.1:${relayPort}`, path),
    get: ({ essDist }, link) => run(essDist, 'get', '--no-progress', '-o', '.', link),
  }
}

function croc(sendOptions: readonly string[], options: readonly string[] = []): Tool {
  const file = join(INSTALLED, 'croc')
  const common = (stage: Stage): readonly string[] => [
    ...options,
    ...['--yes', '--disable-clipboard', '--ignore-stdin', '--relay', `127.0.0.1:${stage.relayPort}`],
  ]
  const variables = ({ code }: Stage) => ({ CROC_SECRET: code })
  return {
    // It wants a port for its words, and four for the bytes. It listens on every address, whatever --host says.
    relay: (port) => ({
      file: installed(file),
      args: ['relay', '--ports', [0, 1, 2, 3, 4].map((more) => port + more).join()],
    }),
    ready: /Code is: \S+/,
    send: (stage, path) => ({
      file,
      args: [...common(stage), 'send', ...sendOptions, path],
      variables: variables(stage),
    }),
    get: (stage) => ({ file, args: [...common(stage), '--overwrite'], variables: variables(stage) }),
  }
}

function wormhole(listen: '--listen' | '--no-listen'): Tool {
  const programs = join(INSTALLED, 'wormhole/bin')
  const twist = (...args: readonly string[]) => ({
    file: installed(join(programs, 'twist')),
    args: ['--log-level=warn', ...args],
  })
  const end = ({ relayPort, helperPort }: Stage, ...args: readonly string[]) => ({
    file: join(programs, 'wormhole'),
    args: [
      ...['--relay-url', `ws://127.0.0.1:${helperPort}/v1`],
      ...['--transit-helper', `tcp:127.0.0.1:${relayPort}`, ...args],
    ],
  })
  return {
    relay: (port) => twist('transitrelay', `--port=tcp:${port}:interface=127.0.0.1`),
    helper: (port) =>
      twist('wormhole-mailbox', '--channel-db=:memory:', `--port=tcp:${port}:interface=127.0.0.1`),
    ready: /Wormhole code is: \S+/,
    send: (stage, path) =>
      end(stage, 'send', '--hide-progress', '--no-qr', listen, '--code', stage.code, path),
    get: (stage) => end(stage, 'receive', '--hide-progress', '--accept-file', listen, stage.code),
  }
}

function installed(file: string): string {
  if (!existsSync(file)) throw new SubjectRefused('it is not installed; npm run bench:peers does that')
  return file
}
