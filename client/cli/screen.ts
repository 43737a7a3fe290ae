import { formatBytes, formatCount, formatDuration, printable } from '../../shared/index.js'
import type { Hints } from './hints.js'
import { withoutKeys } from './without-keys.js'

/**
 * What a person sees, and how it behaves. All of it goes to stderr. If no person is looking, there is nothing but a
 * line for each trouble. One thing moves at a time, a spinner or a bar. However it ends, the terminal is left as it was
 * found.
 */
export interface Screen {
  /** We look at what is to be sent, which may be a folder of a million files. */
  examining(): void
  /** So many items were looked at so far. */
  examined(items: number): void
  /** We are waiting for the server to answer. */
  connecting(server: string): void
  /** The socket is open for `secondsLeft`; `hints` are the lines for the other side. */
  waiting(hints: Hints, secondsLeft: number): void
  timeLeft(seconds: number): void
  /** Bytes begin to move. `size` is undefined if the sender does not know it. */
  moving(size: number | undefined): void
  moved(bytes: number): void
  /** The transfer waits for a connection, for this long if that is known. `words` say for which, up to the time left. */
  interrupted(words: string, secondsLeft?: number): void
  /** It goes on from here, or waits for its receiver as before. */
  resumed(bytes: number): void
  /** An earlier run has left so many bytes. The line says so, and stays. */
  goesOn(bytes: number, line: string): void
  /** Says something in passing. The line stays. */
  note(line: string): void
  /** Says what may be a mistake, unless nothing but failures is wanted. The line stays. */
  warn(line: string): void
  /** Prints lines that were asked for, also where no person is looking. They stay. */
  print(lines: string): void
  /** Prints the last line. */
  succeeded(line: string): void
  failed(line: string): void
  /** Removes the line that moves. You may call it at any time, and again. */
  clear(): void
}

/** What people read while this side looks for its connection, before the time left. */
export const CONNECTION_LOST = 'Connection lost, trying again.'
/** What both sides read before there is a link, or before it is found: before the time left. */
export const SERVER_AWAY = 'The server is away, trying again.'
/** What a receiver reads whose link is at no node of a cluster, before the time left. */
export const NODE_AWAY = 'A part of the server is away, trying again.'
/** What a sender reads while another node takes its transfer, before the time left. */
export const SERVER_RESTARTS = 'This server is restarting; moving to another one.'
/** What a sender reads while it waits for a receiver to come back, before the time left. */
export const RECEIVER_LOST = "The receiver's connection is lost; waiting for it,"

/** What an interruption reads like, with the time left if that is known. */
export function interruptionWords(words: string, secondsLeft: number | undefined): string {
  return secondsLeft === undefined ? words : `${words} ${formatDuration(Math.max(0, secondsLeft))} left.`
}

/** How the last line calls a text. */
export const A_TEXT = 'a text'

/** A transfer below this has no speed worth telling: most of its time went into connecting. */
const MIN_TIMED_MS = 1_000

/** How a transfer went that is over. */
export interface Course {
  readonly bytes: number
  readonly ms: number
  /** Bytes of an earlier run. Default: 0. */
  readonly begun?: number
  /** How often it was interrupted. Default: 0. */
  readonly interruptions?: number
}

/**
 * A summary such as `film.mkv, 268.4 MB in 3.1 s (86.6 MB/s).` A transfer that was interrupted has no speed worth telling:
 * `film.mkv, 60.0 MB in 4.7 s, after 2 interruptions.`
 */
export function summary(
  name: string | undefined,
  { bytes, ms, begun = 0, interruptions = 0 }: Course,
): string {
  const whole = name === undefined ? formatBytes(bytes) : `${oneLine(name)}, ${formatBytes(bytes)}`
  const what = begun === 0 ? whole : `${whole}, the last ${formatBytes(bytes - begun)}`
  const after = interruptions === 0 ? '' : `, after ${formatCount(interruptions, 'interruption')}`
  if (ms < MIN_TIMED_MS) return `${what}${after}.`
  const time = ms < 59_950 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms / 1000)
  if (interruptions > 0) return `${what} in ${time}${after}.`
  return `${what} in ${time} (${formatBytes(Math.round((bytes - begun) / (ms / 1000)))}/s).`
}

/** While we look at what is to be sent. */
export function examinedWords(items: number): string {
  return items === 0
    ? 'Looking through the folder'
    : `Looking through the folder, ${formatCount(items, 'item')}`
}

/**
 * How far a transfer is: the words that fit into `columns`, the least important ones left out first. They end with the
 * time left, which is what people look for.
 */
export function progressWords(
  { bytes, rate }: { readonly bytes: number; readonly rate: number | undefined },
  size: number | undefined,
  columns: number,
): string {
  const done = formatBytes(bytes)
  const speed = rate === undefined ? [] : [`${formatBytes(Math.round(rate))}/s`]
  if (size === undefined) return [done, ...speed].join('  ')
  const percent = `${Math.floor((size === 0 ? 1 : Math.min(1, bytes / size)) * 100)}%`.padStart(4)
  const left = rate === undefined || rate === 0 ? [] : [`${formatDuration((size - bytes) / rate)} left`]
  const all = [percent, `${done} of ${formatBytes(size)}`, ...speed, ...left]
  const shorter = [all, [percent, all[1] ?? '', ...left], [percent, ...left], [percent]]
  const lines = shorter.map((words) => words.join('  '))
  return lines.find((line) => line.length <= columns) ?? percent
}

/**
 * Makes a text one harmless line: a server's words and a file's name may hold anything, and a terminal obeys some of
 * it. What was typed may hold a key, and a terminal's lines are kept and shown.
 */
export function oneLine(text: string): string {
  return withoutKeys(printable(text.replace(/\p{Cc}+/gu, ' ')))
}
