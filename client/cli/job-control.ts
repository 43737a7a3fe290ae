import { readFileSync } from 'node:fs'

/** How a program shares a terminal with the shell that started it. */
export interface JobControl {
  /** True while we may draw on the terminal: not for `ess … &`, and not after `bg`. */
  isInForeground(): boolean
  /**
   * Calls `before` when Ctrl-Z is about to stop the process, and when a crash is about to be printed. Calls `after`
   * when the process goes on (`fg`, `bg`). Returns a function that removes both.
   */
  onStop(before: () => void, after: () => void): () => void
}

/** The job control of this process. */
export function jobControl(): JobControl {
  return {
    isInForeground,
    onStop(before, after) {
      const onContinue = () => {
        // If the window was resized meanwhile, only the program in the foreground heard of it. This makes Node ask
        // for the size.
        process.kill(process.pid, 'SIGWINCH')
        after()
      }
      const onCtrlZ = () => {
        before()
        // The default action stops the process, so that the shell sees which signal did it.
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

/** Node has no tcgetpgrp(3). Linux says the same in a file; on other systems we assume the foreground. */
function isInForeground(): boolean {
  let stat: string
  try {
    stat = readFileSync('/proc/self/stat', 'latin1')
  } catch {
    // Not Linux, or no /proc.
    return true
  }
  // After the program's name, which may hold anything: state, parent, group, session, terminal, foreground group.
  const [, , group, , , inFront] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return group === inFront || Number(inFront) <= 0
}
