import { closeSync } from 'node:fs'
import { isatty } from 'node:tty'

/** At exit Node restores the modes of a terminal, and aborts (status 134) if it is gone. Call this once, at the start. */
export function closeLostTerminals(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd))
  process.once('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd)
  })
}
