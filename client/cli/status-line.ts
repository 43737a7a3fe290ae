import type { JobControl } from './job-control.js'
import type { TerminalOutput } from './terminal-output.js'

const FRAME_MS = 80
/** How often a background process checks whether the terminal is its own again. No signal tells of `fg` alone. */
const LOOK_MS = 500

const CSI = '\u001b['
const COLOUR_OR_CHARACTER = new RegExp(`${CSI.replace('[', '\\[')}\\d+m|.`, 'gsu')
/** Without line wrap, a line that is wider than expected stays one line. */
const NO_WRAP = `${CSI}?7l`
const WRAP = `${CSI}?7h`
const ERASE_TO_END = `${CSI}K`
const ERASE_BELOW = `${CSI}J`

/**
 * The last line of a terminal, drawn again and again. It leaves nothing to put right: the cursor is never hidden, and
 * each write turns line wrap on again at its end. So even SIGKILL leaves the terminal as it was.
 *
 * The cursor rests at the beginning of the line. When the window gets narrower, some terminals fold the line and
 * others cut it. In both, the cursor stays at the beginning, so we can erase the whole line and nothing above it.
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

  /** Draws the text that `render` returns, and draws it again whenever it changes, until `hide`. */
  show(render: () => string): void {
    this.hide()
    // If a terminal doesn't know its width, we can't draw on it.
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

  /** Removes the line, if there is one. */
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
    // In the background, the line belongs to the shell or to another program.
    const isOurs = this.#job?.isInForeground() ?? true
    // In a narrower window the line may have become several. Erase below only when it matters: at the top of a
    // screen, tmux takes this for clearing the screen, and keeps the old text.
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
    // While it is held up, at most one frame waits to be written.
    if (this.#terminal.isHeldUp) return
    const text = cut(this.#render?.() ?? '', (this.#terminal.columns ?? 80) - 1)
    if (text === this.#drawn) return
    this.#drawn = text
    this.#terminal.write(`\r${NO_WRAP}${text}${ERASE_TO_END}${WRAP}\r`)
  }
}

/** Cuts `text` to `columns`. Colours take no room. */
function cut(text: string, columns: number): string {
  let room = columns
  return text.replace(COLOUR_OR_CHARACTER, (piece) => (piece.length > 2 || room-- > 0 ? piece : ''))
}
