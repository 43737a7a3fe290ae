import type { Writable } from 'node:stream'
import { formatBytes, formatDuration } from '../../shared/index.js'
import { Pace } from '../../shared/pace.js'
import type { Hints } from './hints.js'
import { examinedWords, interruptionWords, oneLine, progressWords, type Screen } from './screen.js'

/** How often a line tells how far a transfer is. A person may have them read aloud. */
const NEWS_MS = 10_000

const now = () => performance.now()

/**
 * The screen of a terminal that can't be drawn on: `TERM=dumb`, as in Emacs and for some screen readers, or a serial
 * line. Each thing is a line of its own, in the order in which it happens, and none is ever changed.
 */
export class PlainScreen implements Screen {
  readonly #stderr: Writable
  #size: number | undefined
  #pace = new Pace(now)
  #isMoving = false
  /** What was said of the interruption that lasts. */
  #trouble: string | undefined
  #nextNewsMs = Number.POSITIVE_INFINITY

  constructor(stderr: Writable) {
    this.#stderr = stderr
  }

  examining(): void {
    this.#nextNewsMs = performance.now() + NEWS_MS
  }

  examined(items: number): void {
    if (performance.now() < this.#nextNewsMs) return
    this.#nextNewsMs = performance.now() + NEWS_MS
    this.#say(`${examinedWords(items)}.`)
  }

  connecting(): void {}

  waiting({ what, title, lines, advice }: Hints, secondsLeft: number): void {
    if (what !== undefined) this.#say(oneLine(what))
    for (const line of [title, ...lines, advice]) this.#say(line)
    this.#say(`Waiting for the receiver, ${formatDuration(secondsLeft)} left.`)
  }

  timeLeft(): void {}

  moving(size: number | undefined): void {
    this.#size = size
    this.#isMoving = true
    this.#trouble = undefined
    this.#pace = new Pace(now)
    this.#nextNewsMs = performance.now() + NEWS_MS
    this.#say(`The transfer has begun${size === undefined ? '' : `: ${formatBytes(size)}`}.`)
  }

  moved(bytes: number): void {
    this.#pace.at(bytes)
    if (performance.now() < this.#nextNewsMs) return
    this.#nextNewsMs = performance.now() + NEWS_MS
    this.#say(progressWords(this.#pace, this.#size, Number.POSITIVE_INFINITY).trim().replaceAll('  ', ', '))
  }

  interrupted(words: string, secondsLeft?: number): void {
    // Each heartbeat and each try say it again.
    if (this.#trouble === words) return
    this.#trouble = words
    this.#say(interruptionWords(words, secondsLeft))
  }

  resumed(bytes: number): void {
    if (this.#trouble === undefined) return
    this.#trouble = undefined
    if (this.#isMoving) this.#pace = new Pace(now, bytes)
    this.#say(this.#isMoving ? `Going on from ${formatBytes(bytes)}.` : 'Waiting for the receiver again.')
  }

  goesOn(bytes: number, line: string): void {
    this.#pace = new Pace(now, bytes)
    this.#say(line)
  }

  note(line: string): void {
    this.#say(oneLine(line))
  }

  warn(line: string): void {
    this.#say(`ess: ${oneLine(line)}`)
  }

  print(lines: string): void {
    this.#stderr.write(lines)
  }

  succeeded(line: string): void {
    this.#say(line)
  }

  failed(line: string): void {
    this.#say(`ess: ${line}`)
  }

  clear(): void {}

  #say(line: string): void {
    this.#stderr.write(`${line}\n`)
  }
}
