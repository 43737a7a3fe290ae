import { headingLook } from '../../shared/heading-look.js'
import { curlLine, formatBytes, joinUrl, ROUTES } from '../../shared/index.js'
import { isolated } from '../../shared/isolated.js'
import { COMMON } from '../../shared/page-words.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import { type Facts, linkOf } from '../facts.js'
import { button } from '../ui/button.js'
import { copyButton } from '../ui/copy-button.js'
import { element } from '../ui/element.js'
import { fileButton } from '../ui/file-button.js'
import { type Ending, mark } from '../ui/mark.js'
import { type Line, terminalLines } from '../ui/terminal.js'
import type { Offer } from './offer.js'

/*
 * What the page shows, one screen for each state. Each replaces all of the one before.
 */

/** What is left to do for a person who has to say something first. */
export interface Question {
  readonly title: string
  readonly words: readonly string[]
  /** What was wrong with the last answer. */
  readonly problem?: string | undefined
  readonly label: string
  readonly isSecret: boolean
  /** Offers a file in place of an answer by hand. */
  readonly takesFile: boolean
}

/** Shows a question, and resolves with the answer. */
export async function ask(page: HTMLElement, question: Question): Promise<string> {
  const { title, words, problem, label, isSecret, takesFile } = question
  const field = element('input', {
    type: isSecret ? 'password' : 'text',
    required: true,
    autocomplete: 'off',
    spellcheck: false,
  })
  const { promise, resolve } = withResolvers<string>()
  const choose = fileButton(RECEIVING.keyFile, {
    name: 'key',
    look: 'quiet',
    onChosen: ([file]) => void file?.text().then(resolve),
  })
  const form = element(
    'form',
    {},
    element('label', { className: 'field' }, label, field),
    ...(problem === undefined ? [] : [element('p', { id: 'problem', set: { role: 'alert' } }, problem)]),
    element(
      'div',
      { className: 'buttons' },
      element('button', {}, RECEIVING.open),
      ...(takesFile ? [choose.button, choose.field] : []),
    ),
  )
  if (problem !== undefined) {
    field.setAttribute('aria-invalid', 'true')
    field.setAttribute('aria-describedby', 'problem')
  }
  show(page, title, ...words.map((text) => element('p', {}, text)), form)
  field.focus()
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    resolve(field.value)
  })
  return await promise
}

/** Something that takes a moment. */
export function showOpening(page: HTMLElement, words: string): void {
  show(page, COMMON.sealedTitle, element('p', { set: { role: 'status' } }, words))
}

/** A button, and what it is called. */
export type Choice<Name extends string> = readonly [name: Name, label: string]

/** What the page knows beside the offer. */
interface Around {
  readonly facts: Facts
  readonly isReady: boolean
  /** The key in the link. */
  readonly key: string | undefined
}

/** Only a note that was opened says that there is something sealed. */
const SEALED_WORDS = {
  nothing: [],
  note: [RECEIVING.isSealed],
  body: [RECEIVING.mayBeSealed],
} as const satisfies Record<Offer['sealed']['by'], readonly string[]>

/** Shows what there is, and what the person can do with it. */
export function showOffer<Name extends string>(
  page: HTMLElement,
  offer: Offer,
  { facts, isReady, key }: Around,
  choices: readonly Choice<Name>[],
  clicked: (name: Name) => Promise<void>,
): void {
  const { size, bundle, sealed } = offer
  const about = COMMON.row([
    size === undefined ? COMMON.sizeUnknown : formatBytes(size),
    ...(bundle === undefined ? [] : [RECEIVING.entries(bundle.entries)]),
    COMMON.worksOnce,
  ])
  const words = [about, ...SEALED_WORDS[sealed.by], ...(isReady ? [] : [COMMON.notStarted])]
  const buttons = choices.map(([name, label], index) =>
    button(
      label,
      async () => {
        // Once is enough. If the person then picks no place, they may click again.
        for (const each of buttons) each.disabled = true
        await clicked(name)
        for (const each of buttons) each.disabled = false
      },
      index === 0 ? '' : 'quiet',
    ),
  )
  show(
    page,
    titleOf(offer),
    ...words.map((text) => element('p', {}, text)),
    element('div', { className: 'buttons' }, ...buttons),
    otherWays(facts, offer, key),
  )
}

/** How to get it without this page. */
export function otherWays(facts: Facts, { id, sealed, name }: Offer, key: string | undefined): HTMLElement {
  const link = linkOf(facts, id)
  const whole = key === undefined ? link : `${link}#${key}`
  const lines: Line[] = [{ words: COMMON.withEss, line: `ess get '${whole}'` }]
  if (facts.servesClient) {
    const client = joinUrl(facts.base, ROUTES.clientPackageOfVersion)
    lines.push({ words: COMMON.withNode, line: `npx ${client} get '${whole}'` })
  }
  if (sealed.by === 'nothing') lines.push({ words: COMMON.withCurl, line: curlLine(link, name, 'file') })
  return terminalLines(COMMON.terminal, lines)
}

/** The screen of a file that is coming. */
export interface ProgressScreen {
  /** For the eye. */
  progress(bytes: number, size: number | undefined, course: string): void
  /** For everyone: it is read out, once. */
  say(words: string, look?: '' | 'paused'): void
  /** All is here, and gets its name: nothing is left to cancel. */
  closing(): void
  /** One more thing has come, of those in a bundle. */
  list(name: string): void
}

/** The longest list that is shown: a page with 100,000 lines is slow. */
export const MAX_LISTED = 500

export function showProgress(page: HTMLElement, title: string, cancel: () => void): ProgressScreen {
  const said = element('p', { className: 'status', set: { role: 'status' } }, RECEIVING.waiting)
  const bar = element('progress', { set: { 'aria-label': RECEIVING.progress } })
  const course = element('p', { className: 'course' })
  const stop = button(
    COMMON.cancel,
    () => {
      // A disk may take its time before it lets go.
      stop.disabled = true
      cancel()
    },
    'quiet',
  )
  const listed = element('ul', {
    className: 'list',
    hidden: true,
    tabIndex: 0,
    set: { 'aria-label': RECEIVING.entriesSoFar },
  })
  show(
    page,
    title,
    said,
    element('div', { className: 'progress' }, bar, course),
    element('div', { className: 'buttons' }, stop),
    listed,
  )
  return {
    progress(bytes, size, words) {
      if (size !== undefined) {
        // An empty file is whole at once.
        bar.max = Math.max(1, size)
        bar.value = size === 0 ? 1 : bytes
      }
      course.textContent = words
    },
    say(words, look = '') {
      page.className = look
      if (said.textContent !== words) said.textContent = words
    },
    closing() {
      stop.hidden = true
    },
    list(name) {
      listed.hidden = false
      listed.prepend(element('li', {}, name))
      if (listed.childElementCount > MAX_LISTED) listed.lastElementChild?.remove()
    },
  }
}

/** All went well. `offer` is undefined if the words have its name. */
export function showDone(
  page: HTMLElement,
  offer: Offer | undefined,
  words: string,
  ...more: readonly Node[]
): void {
  show(page, RECEIVING.done, ...(offer === undefined ? [] : [what(offer)]), element('p', {}, words), ...more)
  sign(page, 'delivered')
}

const COPY_WORDS = {
  copy: RECEIVING.copy,
  copied: COMMON.copied,
  notCopied: RECEIVING.notCopied,
}

/** A text, and a button to copy it. */
export function showText(page: HTMLElement, text: string): void {
  const shown = element('pre', {
    className: 'text',
    tabIndex: 0,
    dir: 'auto',
    set: { role: 'region', 'aria-label': COMMON.text },
  })
  shown.append(text)
  const copied = askBeforeLeaving()
  // By hand.
  shown.addEventListener('copy', copied)
  const copy = copyButton(text, COPY_WORDS, () => getSelection()?.selectAllChildren(shown), copied)
  show(
    page,
    COMMON.text,
    element('p', {}, RECEIVING.onlyHere),
    shown,
    element('div', { className: 'buttons' }, copy.button),
    copy.said,
  )
}

/** The text is nowhere else, so the browser asks the person who reloads or closes the page. Call the result when that may go. */
function askBeforeLeaving(): () => void {
  const off = new AbortController()
  window.addEventListener('beforeunload', (event) => event.preventDefault(), { signal: off.signal })
  return () => off.abort()
}

/** What a person can do where nothing was used up, and what that is called. */
export type Again = readonly [label: string, act: () => void]

/** It went wrong. `offer` is undefined for a file that could not be opened. `again` is there if nothing was used up. */
export function showFailed(
  page: HTMLElement,
  offer: Offer | undefined,
  words: string,
  again: Again | undefined,
  ...more: readonly Node[]
): void {
  show(
    page,
    RECEIVING.failed,
    ...(offer === undefined ? [] : [what(offer)]),
    element('p', {}, words),
    ...(again === undefined ? [] : [element('div', { className: 'buttons' }, button(...again))]),
    ...more,
  )
  sign(page, 'failed')
}

/** The person has stopped it. */
export function showCancelled(page: HTMLElement, offer: Offer): void {
  show(page, COMMON.cancelled, what(offer), element('p', {}, RECEIVING.stopped))
  sign(page, 'cancelled')
}

/** The sign of an ending, before its heading. */
function sign(page: HTMLElement, ending: Ending): void {
  page.classList.add(ending)
  page.prepend(mark(ending))
}

/** Which file an ending is about: with several tabs, a person may not know. */
function what(offer: Offer): HTMLElement {
  const { size } = offer
  const facts = [isolated(titleOf(offer)), ...(size === undefined ? [] : [formatBytes(size)])]
  return element('p', {}, COMMON.row(facts))
}

/** A bundle is a folder or some files to a person, and no tar. */
export function titleOf({ isText, name, bundle }: Offer): string {
  if (isText) return COMMON.text
  return bundle === undefined ? name : name.replace(/\.tar$/i, '')
}

function show(page: HTMLElement, title: string, ...content: readonly Node[]): void {
  const heading = element('h1', { tabIndex: -1, className: headingLook(title) }, title)
  page.className = ''
  page.replaceChildren(heading, ...content)
  document.title = title
  // A screen reader reads on from here, and not from a button that is no more.
  heading.focus()
}
