import progress from 'cli-progress'
import ora, { spinners } from 'ora'
import { formatDuration, printable } from '../../shared/index.js'
import { Pace } from '../../shared/pace.js'
import type { Hints } from './hints.js'
import type { JobControl } from './job-control.js'
import { examinedWords, interruptionWords, oneLine, progressWords, type Screen } from './screen.js'
import { StatusLine } from './status-line.js'
import { TerminalOutput, type TerminalStream } from './terminal-output.js'

/**
 * Magenta and red are the two of the sixteen colours that have enough contrast on white and on black. Only marks have a
 * colour, and the words beside them say the same.
 */
const COLORS = { magenta: 35, red: 31, dim: 2, bold: 1 } as const
const RESETS = { magenta: 39, red: 39, dim: 22, bold: 22 } as const

const BAR_WIDTH = 30
/** Room for the words beside the bar. A narrower terminal gets the words alone. */
const WORDS_WIDTH = 60

const now = () => performance.now()

/** The screen of a terminal: a spinner while we wait, a bar while bytes move. */
export class TerminalScreen implements Screen {
  readonly #terminal: TerminalOutput
  readonly #isColored: boolean
  readonly #line: StatusLine
  /** Measured by `performance.now`, so that setting the clock doesn't change the time left. */
  #expiresMs = 0
  #pace = new Pace(now)
  /** How many were looked at. */
  #items = 0
  /** Draws what the terminal shows while nothing is wrong. */
  #draw = () => {}
  #isInterrupted = false

  constructor(stderr: TerminalStream, isColored: boolean, job: JobControl | undefined) {
    this.#terminal = new TerminalOutput(stderr)
    this.#isColored = isColored
    this.#line = new StatusLine(this.#terminal, job)
  }

  examining(): void {
    this.#items = 0
    this.#show(() => this.#spin(() => examinedWords(this.#items)))
  }

  examined(items: number): void {
    this.#items = items
  }

  connecting(server: string): void {
    this.#show(() => this.#spin(() => `Waiting for ${printable(server)}`))
  }

  waiting({ what, title, lines, advice }: Hints, secondsLeft: number): void {
    this.clear()
    const typed = lines.map((line) => `    ${this.#paint('bold', line)}\n`).join('')
    const first = what === undefined ? '' : `\n${this.#folded(oneLine(what))}`
    this.#terminal.write(`${first}\n${this.#folded(title)}\n${typed}\n${this.#folded(advice)}\n`)
    this.timeLeft(secondsLeft)
    // The server reports the time left every half minute; the screen counts it down in between.
    this.#show(() => this.#spin(() => this.#waitingText()))
  }

  timeLeft(seconds: number): void {
    this.#expiresMs = performance.now() + seconds * 1000
  }

  moving(size: number | undefined): void {
    this.#pace = new Pace(now)
    this.#show(() => this.#line.show(() => this.#barLine(size)))
  }

  moved(bytes: number): void {
    this.#pace.at(bytes)
  }

  interrupted(words: string, secondsLeft?: number): void {
    this.#isInterrupted = true
    const endsMs = performance.now() + 1000 * (secondsLeft ?? 0)
    const left = () => (secondsLeft === undefined ? undefined : (endsMs - performance.now()) / 1000)
    this.#spin(() => interruptionWords(words, left()))
  }

  resumed(bytes: number): void {
    if (!this.#isInterrupted) return
    this.#isInterrupted = false
    this.#pace = new Pace(now, bytes)
    this.#draw()
  }

  goesOn(bytes: number, line: string): void {
    this.clear()
    this.#pace = new Pace(now, bytes)
    this.#terminal.write(`${line}\n`)
    this.#draw()
  }

  note(line: string): void {
    this.print(`${oneLine(line)}\n`)
  }

  warn(line: string): void {
    this.print(`${this.#paint('red', 'ess:')} ${oneLine(line)}\n`)
  }

  print(lines: string): void {
    this.clear()
    this.#terminal.write(lines)
    this.#draw()
  }

  succeeded(line: string): void {
    this.clear()
    this.#terminal.write(`${this.#paint('magenta', '✔')} ${line}\n`)
  }

  failed(line: string): void {
    this.clear()
    this.#terminal.write(`${this.#paint('red', 'ess:')} ${line}\n`)
  }

  clear(): void {
    this.#line.hide()
  }

  #show(draw: () => void): void {
    this.#isInterrupted = false
    this.#draw = draw
    draw()
  }

  #spin(text: () => string): void {
    const { interval, frames } = spinners.dots
    // ora only supplies the frames. Our status line draws them, because ora hides the cursor, and counts the lines to
    // erase by the width they were drawn in.
    const spinner = ora({
      isEnabled: false,
      // ora would swallow what you type, and stdin may be the data to send.
      discardStdin: false,
      // ora would look at the colours of stdout, where the URL may go into a file.
      color: false,
      spinner: { interval, frames: frames.map((frame) => this.#paint('magenta', frame)) },
    })
    this.#line.show(() => {
      spinner.text = text()
      return spinner.frame()
    })
  }

  get #columns(): number {
    return this.#terminal.columns ?? 80
  }

  /** Folds a sentence between its words. Commands aren't folded: the terminal does that so that they can be copied. */
  #folded(sentence: string): string {
    const width = Math.max(20, this.#columns - 3)
    return sentence.replaceAll(new RegExp(`(.{1,${width}})(?: |$)`, 'g'), '  $1\n')
  }

  #waitingText(): string {
    const left = formatDuration((this.#expiresMs - performance.now()) / 1000)
    const line = `Waiting for the receiver, ${left} left.`
    const both = `${line} Ctrl-C cancels.`
    // The spinner and a space come before it, and the last column stays empty.
    return both.length <= this.#columns - 3 ? both : line
  }

  #barLine(size: number | undefined): string {
    const drawing =
      size === undefined ? '' : this.#drawing(size === 0 ? 1 : Math.min(1, this.#pace.bytes / size))
    // The last column stays empty.
    return `  ${drawing}${progressWords(this.#pace, size, this.#columns - 3)}`
  }

  #drawing(part: number): string {
    const width = Math.min(BAR_WIDTH, this.#columns - WORDS_WIDTH)
    if (width < 5) return ''
    const [done = '', rest = ''] = progress.Format.BarFormat(part, {
      barsize: width,
      barCompleteString: '━'.repeat(width),
      barIncompleteString: '─'.repeat(width),
      barGlue: ' ',
    }).split(' ')
    return `${this.#paint('magenta', done)}${this.#paint('dim', rest)} `
  }

  #paint(color: keyof typeof COLORS, text: string): string {
    return this.#isColored ? `\u001b[${COLORS[color]}m${text}\u001b[${RESETS[color]}m` : text
  }
}
