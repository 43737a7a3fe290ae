import type { Writable } from 'node:stream'
import { WriteStream } from 'node:tty'

/**
 * Keeps what is written to a stopped terminal (Ctrl-S) in memory. As Node opens a terminal, a write would block, and
 * the whole process with it. Does nothing if `output` is no terminal.
 */
export function neverBlock(output: Writable): void {
  if (!(output instanceof WriteStream)) return
  // The same object, with a member that Node's types leave out.
  const { _handle: handle } = output as { readonly _handle?: { setBlocking?(isOn: boolean): number } }
  handle?.setBlocking?.(false)
}
