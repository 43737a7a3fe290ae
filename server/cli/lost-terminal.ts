import { closeSync } from 'node:fs'
import { isatty } from 'node:tty'

/** At exit Node gives a terminal its old modes back, and aborts (status 134) where that terminal is gone by then. */
export function closeLostTerminals(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd))
  process.once('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd)
  })
}
