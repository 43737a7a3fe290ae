import { readFileSync } from 'node:fs'

/** How a program shares a terminal with the shell that started it. */
export interface JobControl {
  /** True while the terminal is ours to draw on: not for `ess … &`, nor after `bg`. */
  isInForeground(): boolean
  /**
   * Calls `before` when Ctrl-Z is about to stop the process, and `after` when it goes on (`fg`, `bg`); `before` also
   * when a crash is about to be printed. Returns what takes both off.
   */
  onStop(before: () => void, after: () => void): () => void
}

/** That of this process. */
export function jobControl(): JobControl {
  return {
    isInForeground,
    onStop(before, after) {
      const onContinue = () => {
        // A window that was resized meanwhile told the program that was in front. This makes Node ask for its size.
        process.kill(process.pid, 'SIGWINCH')
        after()
      }
      const onCtrlZ = () => {
        before()
        // The default does the stopping, so that the shell sees which signal it was.
        process.off('SIGTSTP', onCtrlZ)
        process.kill(process.pid, 'SIGTSTP')
        process.on('SIGTSTP', onCtrlZ)
      }
      process.on('SIGTSTP', onCtrlZ).on('SIGCONT', onContinue).on('uncaughtExceptionMonitor', before)
      return () =>
        void process
          .off('SIGTSTP', onCtrlZ)
          .off('SIGCONT', onContinue)
          .off('uncaughtExceptionMonitor', before)
    },
  }
}

/** Node has no tcgetpgrp(3); Linux says the same in a file, and elsewhere it is taken to be so. */
function isInForeground(): boolean {
  let stat: string
  try {
    stat = readFileSync('/proc/self/stat', 'latin1')
  } catch {
    // No Linux, or no /proc.
    return true
  }
  // Behind the program's name, which may hold anything: state, parent, group, session, terminal, its group in front.
  const [, , group, , , inFront] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return group === inFront || Number(inFront) <= 0
}
