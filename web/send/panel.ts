import {
  type EssError,
  formatBytes,
  formatPart,
  type InterruptedEvent,
  problemSentences,
  type StatusEvent,
} from '../../shared/index.js'
import { isolated } from '../../shared/isolated.js'
import { Pace } from '../../shared/pace.js'
import { COMMON } from '../../shared/page-words.js'
import { SENDING } from '../../shared/page-words-sending.js'
import { button } from '../ui/button.js'
import { copyButton } from '../ui/copy-button.js'
import { element } from '../ui/element.js'
import { type Ending, mark } from '../ui/mark.js'
import { type Line, terminalLines } from '../ui/terminal.js'
import type { Parcel } from './parcel.js'
import type { Delivery, Offer } from './transfer.js'

const now = () => performance.now()

/** What a line has room for, on a phone, and beside the picture of the link. */
const LINE_LETTERS = 34

const COPY_WORDS = {
  copy: SENDING.copyLink,
  copied: COMMON.copied,
  notCopied: SENDING.notCopied,
}

/** What the buttons of a transfer do. */
export interface PanelActions {
  cancel(): void
  /** Sends the same once more. */
  again(): void
  /** Back to the form, which still has what was chosen if `isSame`. */
  back(isSame: boolean): void
}

/** A transfer as a person sees it, from the link to the verdict. It shows nothing that the server has not said. */
export class Panel {
  readonly root: HTMLElement
  readonly #actions: PanelActions
  /** The person's own bytes: those on the wire are a few more if they are sealed, or in a tar. */
  readonly #size: number
  /** Bytes on the wire, as far as they are known. */
  #total: number
  readonly #what: string
  readonly #title = element('h1', { tabIndex: -1 })
  readonly #status = element('p', { className: 'status' })
  /** It changes each second, and isn't read aloud. */
  readonly #clock = element('p', { className: 'clock' })
  readonly #offer = element('div', { className: 'offer' })
  readonly #bar = element('progress', { max: 1, value: 0, set: { 'aria-label': SENDING.sent } })
  readonly #course = element('p', { className: 'course' })
  readonly #progress = element('div', { className: 'progress', hidden: true }, this.#bar, this.#course)
  readonly #buttons = element('div', { className: 'buttons' })
  readonly #lines = element('div')
  #pace = new Pace(now)
  #startedAt: number | undefined
  /** When the link stops waiting, by `now`. */
  #waitsUntil = 0
  /** The seconds that the clock counts down, and what they are. */
  #countdown: { readonly endsAt: number; readonly words: (seconds: number) => string } | undefined
  readonly #timer = setInterval(() => this.#showClock(), 1000)

  constructor({ body, ownBytes, name, bundle }: Parcel, actions: PanelActions) {
    this.#size = ownBytes
    this.#total = body.size
    // A bundle is a folder or some files to a person, and no tar.
    const shown = bundle === undefined ? name : name?.replace(/\.tar$/, '')
    this.#what = COMMON.row([isolated(shown ?? COMMON.text), formatBytes(ownBytes)])
    this.#actions = actions
    this.root = element(
      'section',
      { className: 'transfer' },
      // What changes in it is read aloud.
      element(
        'div',
        { className: 'stack', set: { role: 'status', 'aria-atomic': 'false' } },
        this.#title,
        element('p', {}, this.#what),
        this.#status,
      ),
      this.#progress,
      this.#offer,
      this.#buttons,
      this.#lines,
    )
    this.#buttons.append(button(COMMON.cancel, () => actions.cancel(), 'quiet'))
    this.#head(SENDING.preparing)
  }

  /** For a keyboard, which would otherwise begin at the top of the page. */
  focus(): void {
    this.#title.focus()
  }

  /** The link is there. */
  onOffer({ link, lines, expiresAt }: Offer): void {
    this.#head(SENDING.ready)
    this.#waitsUntil = now() + expiresAt - Date.now()
    this.#wait()
    void this.#showOffer(link, lines)
  }

  #wait(): void {
    const words = `${SENDING.give} ${SENDING.keepOpen}`
    // It isn't read aloud again each time that the server says so.
    if (this.#status.textContent !== words) this.#status.textContent = words
    this.#count((this.#waitsUntil - now()) / 1000, SENDING.waiting)
  }

  onEvent(event: StatusEvent): void {
    switch (event.event) {
      case 'waiting':
        this.#waitsUntil = now() + 1000 * event.secondsLeft
        this.#wait()
        break
      case 'connected':
        this.#begin()
        break
      case 'progress':
        this.#begin()
        this.#move(event.bytes, event.total)
        break
      case 'interrupted':
        this.#interrupt(event)
        break
      case 'resumed':
        this.#goOn(event.bytes)
        break
      default:
    }
  }

  onDelivered({ isConfirmed }: Delivery): void {
    const seconds = (now() - (this.#startedAt ?? now())) / 1000
    this.#bar.value = 1
    if (isConfirmed) this.#end('delivered', SENDING.delivered, SENDING.deliveredIn(seconds))
    else this.#end('unconfirmed', SENDING.unconfirmed, SENDING.askThem)
    this.#buttons.append(button(SENDING.somethingElse, () => this.#actions.back(false)))
  }

  /** `words` say what the other side may have of it. */
  onCancelled(words: string): void {
    this.#fail('cancelled', COMMON.cancelled, words)
  }

  onFailed(error: EssError): void {
    const isAway = error.code === 'server-unreachable'
    this.#fail('failed', SENDING.failed, isAway ? COMMON.unreachable : problemSentences(error))
  }

  async #showOffer(link: string, lines: readonly Line[]): Promise<void> {
    const field = element('textarea', {
      readOnly: true,
      value: link,
      // It is seen to its end, which is the key.
      rows: Math.ceil(link.length / LINE_LETTERS),
      spellcheck: false,
      set: { 'aria-label': SENDING.link },
    })
    field.addEventListener('focus', () => field.select())
    const copy = copyButton(link, COPY_WORDS, () => field.focus())
    const canShare = 'share' in navigator
    const share = canShare ? [button(SENDING.share, () => shareLink(link), 'quiet')] : []
    this.#offer.append(
      element(
        'div',
        { className: 'link' },
        field,
        element('div', { className: 'buttons' }, copy.button, ...share),
        copy.said,
        this.#clock,
      ),
    )
    this.#lines.append(terminalLines(COMMON.terminal, lines))
    try {
      const { qrCode } = await import('../ui/qr-code.js')
      const picture = element('div', { className: 'qr' }, qrCode(link, SENDING.qr))
      this.#offer.firstElementChild?.after(picture)
    } catch {
      // It can't be loaded, or the link is too long for a picture. The link itself is there.
    }
  }

  /** A receiver is there. */
  #begin(): void {
    if (this.#startedAt !== undefined && this.#countdown === undefined) return
    this.#startedAt ??= now()
    this.#countdown = undefined
    this.#clock.textContent = ''
    this.#head(SENDING.sending)
    this.#status.textContent = SENDING.keepOpen
    this.#hideOffer()
    this.#progress.hidden = false
    this.#progress.append(this.#clock)
    this.root.classList.remove('paused')
  }

  #move(bytes: number, total = this.#total): void {
    this.#total = total
    const part = this.#partOf(bytes)
    const own = Math.round(part * this.#size)
    this.#bar.value = part
    this.#pace.at(own)
    const { rate } = this.#pace
    const words = [formatPart(own, this.#size)]
    if (bytes === total) words.push(SENDING.checking)
    else if (rate !== undefined && rate > 0)
      words.push(COMMON.rate(rate), COMMON.left((this.#size - own) / rate))
    this.#course.textContent = COMMON.row(words)
    if (total > 0) document.title = COMMON.row([SENDING.percent(part), this.#what])
  }

  #partOf(bytes: number): number {
    return this.#total === 0 ? 1 : Math.min(1, bytes / this.#total)
  }

  #interrupt({ side, secondsLeft }: InterruptedEvent): void {
    const isOurs = side === 'sender'
    this.#status.textContent = isOurs ? SENDING.offline : SENDING.receiverAway
    this.#count(secondsLeft, isOurs ? COMMON.tryingOn : SENDING.receiverHas)
    if (this.#startedAt !== undefined) this.#course.textContent = formatPart(this.#pace.bytes, this.#size)
    this.root.classList.add('paused')
  }

  /** Either side is back. */
  #goOn(bytes: number): void {
    this.root.classList.remove('paused')
    // The link still waits.
    if (this.#startedAt === undefined) {
      this.#wait()
      return
    }
    this.#begin()
    this.#pace = new Pace(now, Math.round(this.#partOf(bytes) * this.#size))
  }

  #fail(kind: Ending, title: string, words: string): void {
    this.#end(kind, title, words)
    this.#buttons.append(
      button(SENDING.again, () => this.#actions.again()),
      button(SENDING.back, () => this.#actions.back(true), 'quiet'),
    )
  }

  #end(kind: Ending, title: string, words: string): void {
    clearInterval(this.#timer)
    this.root.classList.remove('paused')
    this.root.classList.add(kind)
    this.root.prepend(mark(kind))
    this.#head(title)
    this.#status.textContent = words
    this.#clock.textContent = ''
    this.#course.textContent = ''
    this.#hideOffer()
    this.#progress.hidden = true
    this.#buttons.replaceChildren()
    // What had the focus is gone.
    if (document.activeElement === document.body) this.focus()
  }

  #hideOffer(): void {
    this.#offer.hidden = true
    this.#lines.hidden = true
  }

  #count(seconds: number, words: (seconds: number) => string): void {
    this.#countdown = { endsAt: now() + 1000 * seconds, words }
    this.#showClock()
  }

  #showClock(): void {
    if (this.#countdown === undefined) return
    const { endsAt, words } = this.#countdown
    this.#clock.textContent = words(Math.max(0, (endsAt - now()) / 1000))
  }

  /** In the tab too, which is all of the page that a person sees while they wait. */
  #head(title: string): void {
    this.#title.textContent = title
    document.title = COMMON.row([title, this.#what])
  }
}

async function shareLink(url: string): Promise<void> {
  try {
    await navigator.share({ url })
  } catch {
    // The person has closed the list of programs.
  }
}
