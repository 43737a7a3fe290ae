import { EssError } from '../../shared/index.js'
import { isTextType, MAX_TEXT_BYTES } from '../../shared/text.js'
import { type Facts, readFacts } from '../facts.js'
import { load } from '../http/load.js'
import { untilBack } from '../http/until-back.js'
import { keyInAddress } from './keys.js'
import { headOf, type Link, linkTo, request } from './link.js'
import type { Known } from './offer.js'

/** How long one request may wait for a sender to say whether its file is sealed. */
const WAIT_SECONDS = 30

const page = document.getElementById('page')
const facts = readFacts(document)
if (page !== null && facts.link !== undefined) {
  const show = () => void begin(page, facts).catch(report)
  show()
  // A link that is opened in the tab of another one, of which only the key differs, loads no page.
  window.addEventListener('hashchange', () => location.reload())
}

/**
 * Decides who hands the file over. One that is as the server says, and of one piece, is the browser's own download by the
 * page's button, which needs no script. Anything else is better done here.
 */
async function begin(main: HTMLElement, { link: told }: Facts): Promise<void> {
  if (told === undefined) return
  const { id, size, name, contentType: type, sealed: note, bundle, isReady, isNoted } = told
  const link = linkTo(facts, id)
  let known: Known = { id, name, size, type, note, bundle }
  const { key, problem } = keyOf(location.href)
  const isPressed = watchButton(main)
  if (!isNoted) known = (await whenNoted(link)) ?? known
  const isText = name === undefined && isTextType(type) && size !== undefined && size <= MAX_TEXT_BYTES
  const isOurs =
    known.note !== undefined ||
    known.bundle !== undefined ||
    key !== undefined ||
    problem !== undefined ||
    isText
  if (!isOurs || isPressed()) return
  const { takeOver } = await load(import('./take-over.js'))
  await takeOver({ page: main, facts, link, known, isReady, key, keyProblem: problem })
}

/** Shows that the browser has taken the download over, by the page's button. Returns whether it has. */
function watchButton(main: HTMLElement): () => boolean {
  const form = main.querySelector('form')
  // Before it is pressed: then the browser is busy with the download.
  const loading = load(import('./by-browser.js'))
  loading.catch(report)
  let isPressed = false
  form?.addEventListener('submit', () => {
    isPressed = true
    // A form that is taken out of the page within this event is not sent.
    setTimeout(() => void loading.then(({ showByBrowser }) => showByBrowser(form), report))
  })
  return () => isPressed
}

/** What the server says of the file when its sender has come. Undefined if the link is over before. */
async function whenNoted(link: Link): Promise<Known | undefined> {
  for (;;) {
    const begun = performance.now()
    const signal = new AbortController().signal
    const asking = () => request('HEAD', link, signal, { prefer: `wait=${WAIT_SECONDS}` })
    const answer = await untilBack(signal, asking).catch(() => undefined)
    if (answer === undefined) return undefined
    const head = headOf(answer, link)
    const isSaid = performance.now() - begun < (WAIT_SECONDS - 1) * 1000
    if (isSaid || head.note !== undefined || head.bundle !== undefined) return { id: link.id, ...head }
  }
}

function keyOf(address: string): { readonly key?: string; readonly problem?: string } {
  try {
    const key = keyInAddress(address)
    return key === undefined ? {} : { key }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : '' }
  }
}

/** The page stays as it was, with what it has for those without a script. A bug must be seen. */
function report(error: unknown): void {
  document.documentElement.classList.add('scriptless')
  if (!(error instanceof EssError)) reportError(error)
}
