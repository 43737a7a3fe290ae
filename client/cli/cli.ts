import { EssError, EXIT_STATUS, type ExitStatus, formatDuration } from '../../shared/index.js'
import { unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'
import { written } from '../receive/sink.js'
import { type Printed, parseArguments, type TransferCommand } from './arguments.js'
import { interruptedStatus, unlessStuck } from './ending.js'
import type { Io } from './io.js'
import { oneLine, type Screen } from './screen.js'
import { type Look, openScreen } from './terminal.js'
import { withoutKeys } from './without-keys.js'

/**
 * Runs `ess`: reads the command line and does what it says. Resolves with the exit status once nothing is left to do;
 * no handle of ours keeps the process alive.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // EPIPE: the program that read the link or the words may exit, and the transfer goes on. A failed write of the link
  // or of the download is handled where it is written. The listeners stay, because the error may come late.
  for (const stream of [io.stdout, io.stderr]) stream.on('error', () => {})
  let screen: Screen | undefined
  let trouble: EssError | undefined
  let transfer: TransferCommand | undefined
  async function obey(): Promise<ExitStatus> {
    const command = await parseArguments(argv, io)
    if (command.command === 'print') return await print(command, io)
    trouble = command.configTrouble
    if (command.command === 'doctor') return await (await import('./cli-doctor.js')).runDoctor(command, io)
    transfer = command
    screen = await openScreen(io, lookOf(command, io))
    screen.succeeded(await runCommand(command, io, screen))
    return EXIT_STATUS.ok
  }
  try {
    return await unlessStuck(obey(), io.signal)
  } catch (error) {
    return await report(error, io, { screen, trouble, transfer })
  } finally {
    screen?.clear()
  }
}

/**
 * A reader may stop after the first lines of the help (EPIPE), and that is no failure. Any other failed write is one.
 * Help that was not asked for, after a bare `ess`, is no output: a script must not take it for success.
 */
async function print({ text, isAsked }: Printed, io: Io): Promise<ExitStatus> {
  await written(isAsked ? io.stdout : io.stderr, Buffer.from(text)).catch((error: unknown) => {
    if (codeOf(error) !== 'EPIPE') throw unwritable(undefined, error)
  })
  return isAsked ? EXIT_STATUS.ok : EXIT_STATUS.usage
}

/** Loads only the command's own modules: loading an HTTP client takes longer than refusing a wrong command line. */
async function runCommand(command: TransferCommand, io: Io, screen: Screen): Promise<string> {
  if (command.command === 'send') return await (await import('./cli-send.js')).runSend(command, io, screen)
  return await (await import('./cli-get.js')).runGet(command, io, screen)
}

/** Hints and moving lines are only for people. */
function lookOf(command: TransferCommand, io: Io): Look {
  // When data goes to the same terminal, nothing may come in between.
  const isDataShown = io.stdout.isTTY === true
  const hasData = command.command === 'send' ? command.json : command.output === '-'
  if (command.quiet || (isDataShown && hasData)) return 'silent'
  if (io.stderr.isTTY !== true || command.noProgress) return 'terse'
  // A serial line reports no columns, and without them nothing can be drawn.
  return io.stderr.columns === 0 || io.env['TERM'] === 'dumb' ? 'plain' : 'drawn'
}

/** What was known of the command line when it failed. */
interface Told {
  readonly screen: Screen | undefined
  readonly trouble: EssError | undefined
  readonly transfer: TransferCommand | undefined
}

async function report(error: unknown, io: Io, { screen, trouble, transfer }: Told): Promise<number> {
  if (!(error instanceof EssError)) {
    const words = error instanceof Error ? error.message : String(error)
    screen?.clear()
    io.stderr.write(`ess: This is a bug in ess: ${oneLine(words)}. Please report it; DEBUG=1 shows more.\n`)
    if (io.env['DEBUG'] && error instanceof Error) io.stderr.write(`${withoutKeys(String(error.stack))}\n`)
    return EXIT_STATUS.bug
  }
  const isRefusedToken = error.code === 'unauthorized' && transfer !== undefined
  const refusal = isRefusedToken
    ? (await import('./token-refused.js')).tokenRefusal(error, transfer, io)
    : undefined
  const line = oneLine(`${refusal?.words ?? sentencesOf(error)} [${error.code}]`)
  if (screen === undefined) io.stderr.write(`ess: ${line}\n`)
  else screen.failed(line)
  const lines = refusal === undefined ? [] : [refusal.next, trouble?.message]
  for (const next of lines) if (next !== undefined) io.stderr.write(`ess: ${oneLine(next)}\n`)
  return error.code === 'interrupted' ? interruptedStatus(io.signal) : error.exitStatus
}

function sentencesOf({ message, retryAfter }: EssError): string {
  const again = retryAfter === undefined ? '' : `Try again in ${formatDuration(retryAfter)}.`
  const isSentence = /[.!?]$/.test(message)
  const own = again === '' || isSentence ? message : `${message}.`
  return [own, again].filter(Boolean).join(' ')
}
