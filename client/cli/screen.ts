import { formatBytes, formatDuration, printable } from '../../shared/index.js'
import type { Hints } from './hints.js'

/**
 * What a person sees, and how it behaves. All of it goes to stderr. If no person is looking, there is nothing but one
 * line for a failure. One thing moves at a time, a spinner or a bar. However it ends, the terminal is left as it was
 * found.
 */
export interface Screen {
  /** We are waiting for the server to answer. */
  connecting(server: string): void
  /** The socket is open for `secondsLeft`; `hints` are the lines for the other side. */
  waiting(hints: Hints, secondsLeft: number): void
  timeLeft(seconds: number): void
  /** Bytes begin to move. `size` is undefined if the sender does not know it. */
  moving(size: number | undefined): void
  moved(bytes: number): void
  /** Prints the last line. */
  succeeded(line: string): void
  failed(line: string): void
  /** Removes the line that moves. You may call it at any time, and again. */
  clear(): void
}

/** A summary such as `film.mkv, 268.4 MB in 3.1 s (86.6 MB/s)`. */
export function summary(name: string | undefined, bytes: number, ms: number): string {
  const time = ms < 59_950 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms / 1000)
  const what = name === undefined ? formatBytes(bytes) : `${oneLine(name)}, ${formatBytes(bytes)}`
  return `${what} in ${time} (${formatBytes(Math.round(bytes / Math.max(ms / 1000, 0.001)))}/s)`
}

/**
 * Makes a text one harmless line: a server's words and a file's name may hold anything, and a terminal obeys some of
 * it.
 */
export function oneLine(text: string): string {
  return printable(text.replace(/\p{Cc}+/gu, ' '))
}
