import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { EssError, EXIT_STATUS } from '../../shared/index.js'

/**
 * What ends a program from outside. SIGHUP: its terminal was closed. SIGQUIT: Ctrl-\. Each would end it by default, but
 * the kernel would then send a FIN, which could be taken for our word.
 */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** How long cleaning up may take once the user has interrupted. */
const CLEAN_UP_MS = 2_000
/** How long an interrupted process may live on after its last word: for what is in a pipe's buffer. */
const LAST_WORD_MS = 500

/** Aborted by the first signal, whose name is its reason. A second one ends the process at once. */
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

/** What a signal does now. Node loses one that comes while its listener is exchanged for another. */
let onSignal: (name: NodeJS.Signals) => void = dieOf

/**
 * Rejects with `interrupted` when `work` has not ended two seconds after the interruption: it may be in a system call
 * that never returns, such as a read from a device.
 */
export async function unlessStuck<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let onAbort = () => {}
  const stuck = new Promise<never>((_resolve, reject) => {
    const giveUp = () => reject(new EssError('interrupted', 'Stopped before the transfer was complete'))
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

/** What a shell shows for a program that a signal ended: 128 and the signal's number; 130 for Ctrl-C. */
export function interruptedStatus({ reason }: AbortSignal): number {
  const name = SIGNALS.find((signal) => signal === reason)
  return name === undefined ? EXIT_STATUS.interrupted : 128 + constants.signals[name]
}

/** Ends the process with `status` as soon as its output is written; everything else is done. */
export function exitWith(status: number, { aborted, reason }: AbortSignal): void {
  process.exitCode = status
  // What is left is a terminal or a pipe that takes nothing, or a thread in a system call that never returns (a device,
  // a name server). Such a thread would hold up process.exit() too; but after a success there is none.
  onSignal = (name) => (status === EXIT_STATUS.ok ? process.exit() : dieOf(name))
  const name = aborted && SIGNALS.find((signal) => signal === reason)
  if (name) setTimeout(() => onSignal(name), LAST_WORD_MS).unref()
}

function dieOf(name: NodeJS.Signals): void {
  process.removeAllListeners(name)
  process.kill(process.pid, name)
}

/** At exit Node gives a terminal its old modes back, and aborts (status 134) where that terminal is gone. */
function closeLostTerminals(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd))
  process.once('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd)
  })
}
