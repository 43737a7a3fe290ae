import { curlLine, formatBytes, joinUrl, ROUTES } from '../../shared/index.js'
import { type Facts, linkOf } from '../facts.js'
import { copyText } from '../ui/copy.js'
import { element } from '../ui/element.js'
import type { Offer } from './offer.js'
import { RECEIVING } from './words.js'

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
    id: 'answer',
    type: isSecret ? 'password' : 'text',
    required: true,
    autocomplete: 'off',
    spellcheck: false,
  })
  const file = element('input', { type: 'file', hidden: true })
  const choose = element('button', { type: 'button' }, RECEIVING.keyFile)
  choose.addEventListener('click', () => file.click())
  const form = element(
    'form',
    {},
    element('label', { htmlFor: 'answer' }, label),
    field,
    ...(problem === undefined ? [] : [element('p', { set: { role: 'alert' } }, problem)]),
    element('button', {}, RECEIVING.open),
    ...(takesFile ? [choose, file] : []),
  )
  show(page, title, ...words.map((text) => element('p', {}, text)), form)
  field.focus()
  return await new Promise<string>((resolve) => {
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      resolve(field.value)
    })
    file.addEventListener('change', () => {
      const [chosen] = file.files ?? []
      if (chosen !== undefined) void chosen.text().then(resolve)
    })
  })
}

/** Something that takes a moment. */
export function showOpening(page: HTMLElement, words: string): void {
  show(page, RECEIVING.sealedTitle, element('p', { set: { role: 'status' } }, words))
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

/** Shows what there is, and what the person can do with it. */
export function showOffer<Name extends string>(
  page: HTMLElement,
  offer: Offer,
  { facts, isReady, key }: Around,
  choices: readonly Choice<Name>[],
  clicked: (name: Name) => Promise<void>,
): void {
  const { size, bundle, sealed } = offer
  const about = [
    size === undefined ? RECEIVING.sizeUnknown : formatBytes(size),
    ...(bundle === undefined ? [] : [RECEIVING.entries(bundle.entries)]),
  ].join(' · ')
  const words = [
    about,
    ...(sealed.by === 'nothing' ? [] : [RECEIVING.isSealed]),
    RECEIVING.worksOnce,
    ...(isReady ? [] : [RECEIVING.notStarted]),
  ]
  const buttons = choices.map(([name, label]) => {
    const button = element('button', { type: 'button' }, label)
    button.addEventListener('click', async () => {
      // Once is enough. If the person then picks no place, they may click again.
      for (const each of buttons) each.disabled = true
      await clicked(name)
      for (const each of buttons) each.disabled = false
    })
    return button
  })
  show(
    page,
    titleOf(offer),
    ...words.map((text) => element('p', {}, text)),
    element('div', { className: 'actions' }, ...buttons),
    terminalLines(facts, offer, key),
  )
}

/** How to get it without this page. */
export function terminalLines(facts: Facts, { id, sealed, name }: Offer, key: string | undefined): Element {
  const link = linkOf(facts, id)
  const whole = key === undefined ? link : `${link}#${key}`
  const lines: [string, string][] = [[RECEIVING.withEss, `ess get '${whole}'`]]
  if (facts.servesClient) {
    const client = joinUrl(facts.base, ROUTES.clientPackageOfVersion)
    lines.push([RECEIVING.withNode, `npx ${client} get '${whole}'`])
  }
  if (sealed.by === 'nothing') lines.push([RECEIVING.withCurl, curlLine(link, name, 'file')])
  return element(
    'details',
    {},
    element('summary', {}, RECEIVING.terminal),
    ...lines.flatMap(([label, line]) => [element('p', {}, label), element('pre', {}, line)]),
  )
}

/** The screen of a file that is coming. */
export interface ProgressScreen {
  /** For the eye. */
  progress(bytes: number, size: number | undefined, course: string): void
  /** For everyone: it is read out. */
  say(words: string): void
  /** One more thing has come, of those in a bundle. */
  list(name: string): void
}

/** The longest list that is shown: a page with 100,000 lines is slow. */
const MAX_LISTED = 500

export function showProgress(page: HTMLElement, title: string, cancel: () => void): ProgressScreen {
  const said = element('p', { set: { role: 'status' } }, RECEIVING.waiting)
  const bar = element('progress', { set: { 'aria-label': RECEIVING.received } })
  const course = element('p', { className: 'course' })
  const listed = element('ul', { className: 'entries', hidden: true })
  const button = element('button', { type: 'button', className: 'cancel' }, RECEIVING.cancel)
  button.addEventListener('click', cancel)
  show(page, title, said, bar, course, button, listed)
  return {
    progress(bytes, size, words) {
      if (size !== undefined) {
        // An empty file is whole at once.
        bar.max = Math.max(1, size)
        bar.value = size === 0 ? 1 : bytes
      }
      course.textContent = words
    },
    say(words) {
      said.textContent = words
    },
    list(name) {
      listed.hidden = false
      listed.prepend(element('li', {}, name))
      if (listed.childElementCount > MAX_LISTED) listed.lastElementChild?.remove()
    },
  }
}

/** All went well. */
export function showDone(page: HTMLElement, words: string, ...more: readonly Node[]): void {
  show(page, RECEIVING.done, element('p', {}, words), ...more)
}

/** A text, and a button to copy it. */
export function showText(page: HTMLElement, text: string): void {
  const shown = element('pre', { className: 'text', tabIndex: 0, dir: 'auto' }, text)
  const said = element('p', { set: { role: 'status' } })
  const button = element('button', { type: 'button' }, RECEIVING.copy)
  button.addEventListener('click', async () => {
    said.textContent = (await copyText(text)) ? RECEIVING.copied : RECEIVING.notCopied
  })
  show(page, RECEIVING.text, shown, button, said)
}

/** It went wrong. `again` is there if nothing was used up. */
export function showFailed(
  page: HTMLElement,
  words: string,
  again: (() => void) | undefined,
  ...more: readonly Node[]
): void {
  const button = element('button', { type: 'button' }, RECEIVING.tryAgain)
  button.addEventListener('click', () => again?.())
  show(
    page,
    RECEIVING.failed,
    element('p', { set: { role: 'alert' } }, words),
    ...(again === undefined ? [] : [button]),
    ...more,
  )
}

export function titleOf({ isText, name }: Offer): string {
  return isText ? RECEIVING.text : name
}

function show(page: HTMLElement, title: string, ...content: readonly Node[]): void {
  const heading = element('h1', { tabIndex: -1 }, title)
  page.replaceChildren(heading, ...content)
  document.title = title
  // A screen reader reads on from here, and not from a button that is no more.
  heading.focus()
}
