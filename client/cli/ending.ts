import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { EXIT_STATUS } from '../../shared/index.js'
import { interrupted } from '../node/interrupted.js'

/**
 * The signals that end us. SIGHUP: the terminal was closed. SIGQUIT: Ctrl-\. By default each would end the process,
 * and the kernel would send a FIN, which the server could take for "I have the file".
 */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** How long cleaning up may take after an interruption. */
const CLEAN_UP_MS = 2_000
/** How long an interrupted process may live after its last word, to empty the buffer of a pipe. */
const LAST_WORD_MS = 500

/**
 * Returns a signal that the first interruption aborts, with the signal's name as the reason. A second one ends the
 * process at once.
 */
export function interruption(): AbortSignal {
  closeLostTerminals()
  const controller = new AbortController()
  onSignal = (name) => {
    if (controller.signal.aborted) dieOf(name)
    else controller.abort(name)
  }
  for (const name of SIGNALS) process.on(name, () => onSignal(name))
  return controller.signal
}

/**
 * What a signal does now. It is a variable, because Node loses a signal that comes while one listener replaces
 * another.
 */
let onSignal: (name: NodeJS.Signals) => void = dieOf

/**
 * Rejects with `interrupted` if `work` has not ended two seconds after the interruption: a system call, such as a
 * read from a device, may never return.
 */
export async function unlessStuck<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let onAbort = () => {}
  const stuck = new Promise<never>((_resolve, reject) => {
    const giveUp = () => reject(interrupted())
    onAbort = () => {
      timer = setTimeout(giveUp, CLEAN_UP_MS)
    }
  })
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, stuck])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * The status by which a shell shows that a signal ended a program: 128 plus the signal's number, so 130 for Ctrl-C.
 */
export function interruptedStatus({ reason }: AbortSignal): number {
  const name = SIGNALS.find((signal) => signal === reason)
  return name === undefined ? EXIT_STATUS.interrupted : 128 + constants.signals[name]
}

/**
 * From now on, a process that has nothing left to wait for, and was not given to `exitWith`, fails. Node would end it
 * with 0, as if its work were done.
 */
export function expectAnEnding(): void {
  process.exitCode = EXIT_STATUS.bug
  process.once('beforeExit', sayLost)
}

function sayLost(): void {
  process.stderr.write('ess: a bug, please report it: it ended before its work was done\n')
}

/** Ends the process with `status` as soon as its output is written. Call it when all else is done. */
export function exitWith(status: number, { aborted, reason }: AbortSignal): void {
  process.exitCode = status
  process.off('beforeExit', sayLost)
  // What can still hold up the exit: a terminal or pipe that takes nothing, or a thread in a system call that never
  // returns (a device, a name server). Such a thread would hold up process.exit() too, but after a success there is
  // none.
  onSignal = (name) => (status === EXIT_STATUS.ok ? process.exit() : dieOf(name))
  const name = aborted && SIGNALS.find((signal) => signal === reason)
  if (name) setTimeout(() => onSignal(name), LAST_WORD_MS).unref()
}

function dieOf(name: NodeJS.Signals): void {
  process.removeAllListeners(name)
  process.kill(process.pid, name)
}

/**
 * At exit Node restores a terminal's modes, and aborts with status 134 if that terminal is gone. So close it first.
 */
function closeLostTerminals(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd))
  process.once('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd)
  })
}
