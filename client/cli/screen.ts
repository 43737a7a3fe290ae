import { formatBytes, formatDuration, printable } from '../../shared/index.js'
import type { Hints } from './hints.js'

/**
 * What a person sees. The manners: all of it goes to stderr; unless somebody looks on, there is nothing but
 * one line for a failure; one thing moves at a time, a spinner or a bar; the terminal is left as it was found however
 * it ends.
 */
export interface Screen {
  /** The server was asked and has not answered. */
  connecting(server: string): void
  /** The socket is open for so many seconds; `hints` are the lines for the other side. */
  waiting(hints: Hints, secondsLeft: number): void
  timeLeft(seconds: number): void
  /** Bytes begin to move; `size` is undefined where nobody knows it. */
  moving(size: number | undefined): void
  moved(bytes: number): void
  /** The last line. */
  succeeded(line: string): void
  failed(line: string): void
  /** Takes away what moves; may be called at any time, and again. */
  clear(): void
}

/** `film.mkv, 268.4 MB in 3.1 s (86.6 MB/s)` */
export function summary(name: string | undefined, bytes: number, ms: number): string {
  const time = ms < 59_950 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms / 1000)
  const what = name === undefined ? formatBytes(bytes) : `${oneLine(name)}, ${formatBytes(bytes)}`
  return `${what} in ${time} (${formatBytes(Math.round(bytes / Math.max(ms / 1000, 0.001)))}/s)`
}

/** One line; a server's words could hold anything, and so can a file's name, and a terminal obeys some of it. */
export function oneLine(text: string): string {
  return printable(text.replace(/\p{Cc}+/gu, ' '))
}
