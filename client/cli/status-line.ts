import type { JobControl } from './job-control.js'
import type { TerminalOutput } from './terminal-output.js'

const FRAME_MS = 80
/** How often a process in the background looks whether the terminal is its own again; `fg` alone doesn't say. */
const LOOK_MS = 500

const CSI = '\u001b['
/** Without line wrap a line that is wider than expected stays one line. */
const NO_WRAP = `${CSI}?7l`
const WRAP = `${CSI}?7h`
const ERASE_TO_END = `${CSI}K`
const ERASE_BELOW = `${CSI}J`

/**
 * The last line of a terminal, drawn again and again. It leaves nothing to be put right: the cursor is never hidden,
 * and line wrap is back at the end of each write, so even SIGKILL leaves the terminal as it was.
 *
 * The cursor rests at the line's beginning. When the window gets narrower, many terminals fold the line and others
 * cut it; the cursor stays at its beginning in both, so that all of it can be erased, and nothing above it.
 */
export class StatusLine {
  readonly #terminal: TerminalOutput
  readonly #job: JobControl | undefined
  #render: (() => string) | undefined
  #timer: NodeJS.Timeout | undefined
  #drawn = ''
  #stopListening = () => {}

  constructor(terminal: TerminalOutput, job: JobControl | undefined) {
    this.#terminal = terminal
    this.#job = job
  }

  /** Draws what `render` gives, and again whenever it gives something else, until `hide`. */
  show(render: () => string): void {
    this.hide()
    // A terminal that doesn't know its width can't be drawn on.
    if (this.#terminal.columns === 0) return
    this.#render = render
    const redraw = () => this.#redraw()
    const offJob = this.#job?.onStop(() => this.#pause(), redraw)
    const offResize = this.#terminal.onResize(redraw)
    this.#stopListening = () => {
      offJob?.()
      offResize()
    }
    this.#redraw()
  }

  /** Takes the line away. Without effect where there is none. */
  hide(): void {
    this.#stopListening()
    this.#stopListening = () => {}
    this.#pause()
    this.#render = undefined
  }

  #pause(erase = ERASE_TO_END): void {
    clearInterval(this.#timer)
    if (this.#drawn !== '') this.#terminal.write(`\r${erase}`)
    this.#drawn = ''
  }

  #redraw(): void {
    clearInterval(this.#timer)
    // What is typed into the shell, or drawn by another program, is not ours to draw over.
    const isOurs = this.#job?.isInForeground() ?? true
    // In a narrower window it may have become several lines. Not without need: at the top of a screen, tmux takes this
    // for clearing it, and keeps what was there.
    if (isOurs) this.#pause(ERASE_BELOW)
    this.#drawn = ''
    if (isOurs) this.#draw()
    this.#timer = setInterval(
      () => {
        if (isOurs) this.#draw()
        else if (this.#job?.isInForeground()) this.#redraw()
      },
      isOurs ? FRAME_MS : LOOK_MS,
    )
  }

  #draw(): void {
    // One frame at most is in the way when it takes something again.
    if (this.#terminal.isHeldUp) return
    const text = cut(this.#render?.() ?? '', (this.#terminal.columns ?? 80) - 1)
    if (text === this.#drawn) return
    this.#drawn = text
    this.#terminal.write(`\r${NO_WRAP}${text}${ERASE_TO_END}${WRAP}\r`)
  }
}

/** As much of `text` as `columns` have room for; colours take none. */
function cut(text: string, columns: number): string {
  let room = columns
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what colours begin with.
  return text.replace(/\u001b\[\d+m|./gsu, (piece) => (piece.length > 2 || room-- > 0 ? piece : ''))
}
