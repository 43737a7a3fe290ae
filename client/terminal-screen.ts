import type { Writable } from 'node:stream'
import { SingleBar } from 'cli-progress'
import ora, { type Ora, spinners } from 'ora'
import { formatBytes, formatDuration } from '../shared/index.js'
import type { Hints } from './hints.js'
import { Pace } from './pace.js'
import type { Screen } from './terminal.js'

const COLORS = { green: 32, red: 31, cyan: 36, dim: 2, bold: 1 } as const
const RESETS = { green: 39, red: 39, cyan: 39, dim: 22, bold: 22 } as const

const BAR_WIDTH = 30
/** Enough for the words beside the bar; a narrower terminal gets the words alone. */
const WORDS_WIDTH = 60

/** The screen of a terminal: a spinner while something is waited for, a bar while bytes move. */
export class TerminalScreen implements Screen {
  readonly #stderr: Writable & { readonly columns?: number }
  readonly #isColored: boolean
  #spinner: Ora | undefined
  #ticker: NodeJS.Timeout | undefined
  /** As of `performance.now`: a clock that is set must not change what is left. */
  #expiresMs = 0
  #bar: SingleBar | undefined
  #pace = new Pace()

  constructor(stderr: Writable, isColored: boolean) {
    this.#stderr = stderr
    this.#isColored = isColored
  }

  connecting(server: string): void {
    this.#spin(`waiting for ${server}`)
  }

  waiting({ title, lines }: Hints, secondsLeft: number): void {
    this.clear()
    const typed = lines.map((line) => `    ${this.#paint('bold', line)}\n`).join('')
    this.#stderr.write(`\n  ${title}\n\n${typed}\n`)
    this.timeLeft(secondsLeft)
    this.#spin(this.#waitingText())
    // The server says it every half minute, and a person wants to see it go down.
    this.#ticker = setInterval(() => {
      if (this.#spinner !== undefined) this.#spinner.text = this.#waitingText()
    }, 1000)
  }

  timeLeft(seconds: number): void {
    this.#expiresMs = performance.now() + seconds * 1000
  }

  moving(size: number | undefined): void {
    this.clear()
    this.#pace = new Pace()
    this.#bar = new SingleBar({
      stream: this.#stderr as NodeJS.WritableStream,
      format: () => this.#barLine(size),
      hideCursor: true,
      clearOnComplete: true,
    })
    this.#bar.start(size ?? 0, 0)
  }

  moved(bytes: number): void {
    this.#pace.at(bytes)
  }

  succeeded(line: string): void {
    this.clear()
    this.#stderr.write(`${this.#paint('green', '✔')} ${line}\n`)
  }

  failed(line: string): void {
    this.clear()
    this.#stderr.write(`${this.#paint('red', '✖')} ${line}\n`)
  }

  clear(): void {
    clearInterval(this.#ticker)
    this.#spinner?.stop()
    this.#bar?.stop()
    this.#spinner = undefined
    this.#bar = undefined
  }

  #spin(text: string): void {
    this.clear()
    // Of a terminal that does not know its width (0 columns) ora would clear infinitely many lines.
    if (this.#stderr.columns === 0) return
    const { interval, frames } = spinners.dots
    this.#spinner = ora({
      text,
      stream: this.#stderr as NodeJS.WritableStream,
      isEnabled: true,
      // ora would swallow what is typed, and stdin may be what is sent.
      discardStdin: false,
      // ora looks at the colours of stdout, where the URL may go into a file.
      color: false,
      spinner: { interval, frames: frames.map((frame) => this.#paint('cyan', frame)) },
    }).start()
  }

  #waitingText(): string {
    const left = formatDuration((this.#expiresMs - performance.now()) / 1000)
    return `waiting for the receiver ${this.#paint('dim', `(${left} left)`)}`
  }

  #barLine(size: number | undefined): string {
    const { bytes, rate } = this.#pace
    const speed = rate === undefined ? '' : `  ${formatBytes(Math.round(rate))}/s`
    if (size === undefined) return `  ${formatBytes(bytes)}${speed}`
    const part = size === 0 ? 1 : Math.min(1, bytes / size)
    const left = rate === undefined || rate === 0 ? '' : `  ${formatDuration((size - bytes) / rate)} left`
    const percent = `${Math.floor(part * 100)}%`.padStart(4)
    return `  ${this.#drawing(part)}${percent}  ${formatBytes(bytes)} of ${formatBytes(size)}${speed}${left}`
  }

  #drawing(part: number): string {
    const width = Math.min(BAR_WIDTH, (this.#stderr.columns ?? 80) - WORDS_WIDTH)
    if (width < 5) return ''
    const done = Math.round(part * width)
    return `${this.#paint('cyan', '━'.repeat(done))}${this.#paint('dim', '─'.repeat(width - done))} `
  }

  #paint(color: keyof typeof COLORS, text: string): string {
    return this.#isColored ? `\u001b[${COLORS[color]}m${text}\u001b[${RESETS[color]}m` : text
  }
}
