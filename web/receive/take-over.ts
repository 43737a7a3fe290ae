import { isForPassphrase } from '../../shared/age-header.js'
import { EssError, problemSentences } from '../../shared/index.js'
import { Pace } from '../../shared/pace.js'
import { splitNote } from '../../shared/sealed-note.js'
import type { Facts } from '../facts.js'
import { element } from '../ui/element.js'
import { RECEIVING } from '../words.js'
import { keysIn } from './keys.js'
import { giveUp, type Link } from './link.js'
import { ageFileOffer, type Known, type Offer, plainOffer, sealedOffer } from './offer.js'
import { receive } from './receive.js'
import { chooseWay } from './save/choose.js'
import { memoryLimit } from './save/memory.js'
import type { Done, Way } from './save/sink.js'
import { toText } from './save/text.js'
import {
  ask,
  showDone,
  showFailed,
  showOffer,
  showOpening,
  showProgress,
  showText,
  terminalLines,
  titleOf,
} from './screens.js'

/** The page of a link, which the script takes over. */
export interface LinkPage {
  readonly page: HTMLElement
  readonly facts: Facts
  readonly link: Link
  readonly known: Known
  readonly isReady: boolean
  /** The key behind the # of the page's address. */
  readonly key: string | undefined
  /** Why there is none, if there is the rest of one. */
  readonly keyProblem: string | undefined
}

/** Opens what is sealed, shows what there is, and lets the person have it. */
export async function takeOver(linkPage: LinkPage): Promise<void> {
  try {
    present(linkPage, await open(linkPage))
  } catch (error) {
    showFailed(linkPage.page, wordsOf(error), undefined)
  }
}

/** Opens the note, with as many answers of the person as it takes. The link stays unused. */
async function open({ page, known, key, keyProblem }: LinkPage): Promise<Offer> {
  const { note } = known
  const given = key === undefined ? [] : [key]
  if (note === undefined) {
    if (keyProblem !== undefined) throw new EssError('usage', keyProblem)
    return key === undefined ? plainOffer(known) : ageFileOffer(known, { identities: given })
  }
  if (isForPassphrase(splitNote(note).header)) return await openByPassword(page, known, note)
  showOpening(page, RECEIVING.opening)
  let problem = keyProblem
  for (let identities = given; ; ) {
    if (identities.length > 0) {
      try {
        return await sealedOffer(known, note, { identities })
      } catch (error) {
        if (!(error instanceof EssError) || error.code !== 'wrong-key') throw error
        problem = RECEIVING.wrongKey
      }
    }
    identities = []
    const answer = await ask(page, {
      title: RECEIVING.sealedTitle,
      words: given.length > 0 ? [RECEIVING.wrongKeyNext] : [RECEIVING.noKey, RECEIVING.noKeyNext],
      problem,
      label: RECEIVING.keyLabel,
      isSecret: true,
      takesFile: true,
    })
    try {
      identities = keysIn(answer)
    } catch (error) {
      problem = wordsOf(error)
    }
  }
}

async function openByPassword(page: HTMLElement, known: Known, note: string): Promise<Offer> {
  for (let problem: string | undefined; ; ) {
    const password = await ask(page, {
      title: RECEIVING.sealedTitle,
      words: [RECEIVING.passwordNeeded],
      problem,
      label: RECEIVING.passwordLabel,
      isSecret: true,
      takesFile: false,
    })
    showOpening(page, RECEIVING.passwordTakes)
    await painted()
    try {
      return await sealedOffer(known, note, { identities: [], password })
    } catch (error) {
      if (!(error instanceof EssError) || error.code !== 'wrong-key') throw error
      problem = RECEIVING.wrongPassword
    }
  }
}

type ChoiceName = 'save' | 'text'

function present(linkPage: LinkPage, offer: Offer): void {
  const choices = offer.isText
    ? ([['text', RECEIVING.showText]] as const)
    : ([['save', RECEIVING.save]] as const)
  showOffer<ChoiceName>(linkPage.page, offer, linkPage, choices, (name) => void take(linkPage, offer, name))
}

/** The person has clicked. */
async function take(linkPage: LinkPage, offer: Offer, name: ChoiceName): Promise<void> {
  const { page, facts, key } = linkPage
  try {
    if (name === 'text') {
      const text = toText()
      await run(linkPage, offer, text)
      showText(page, text.text)
      return
    }
    const way = await chooseWay(facts, offer)
    if (way !== undefined) tellDone(page, await run(linkPage, offer, way))
  } catch (error) {
    const isUnused = error instanceof EssError && error.code === 'server-unreachable'
    const words = error instanceof Stopped ? error.message : wordsOf(error)
    const lines = isTooLarge(error) ? [terminalLines(facts, offer, key)] : []
    showFailed(page, words, isUnused ? () => present(linkPage, offer) : undefined, ...lines)
  }
}

/** Receives it, while the page shows how it goes. */
async function run({ page, link }: LinkPage, offer: Offer, way: Way): Promise<Done> {
  const off = new AbortController()
  const cancel = () => off.abort(new EssError('interrupted'))
  const screen = showProgress(page, titleOf(offer), cancel)
  const pace = new Pace(() => performance.now())
  let { size } = offer
  const draw = () => screen.progress(pace.bytes, size, courseOf(pace, size))
  const timer = setInterval(draw, DRAW_MS)
  const leaving = new AbortController()
  window.addEventListener('beforeunload', (event) => event.preventDefault(), { signal: leaving.signal })
  window.addEventListener(
    'pagehide',
    () => {
      void giveUp(link)
      cancel()
    },
    { signal: leaving.signal },
  )
  try {
    const done = await receive(link, offer, way, off.signal, {
      onBegun(told) {
        size = told
        screen.say(RECEIVING.receiving)
      },
      onProgress: (bytes) => pace.at(bytes),
      onInterrupted: (secondsLeft) => screen.say(RECEIVING.interrupted(secondsLeft)),
      onResumed: () => screen.say(RECEIVING.resumed),
    })
    forgetKey()
    return done
  } catch (error) {
    if (!(error instanceof EssError) || error.code !== 'incomplete') throw error
    throw new Stopped(RECEIVING.brokeOff(pace.bytes, size, error.message))
  } finally {
    clearInterval(timer)
    leaving.abort()
  }
}

/** How often the numbers change: as often as one can read them. */
const DRAW_MS = 250

/** A download that broke off, in words for the person. */
class Stopped extends Error {}

function courseOf(pace: Pace, size: number | undefined): string {
  const { bytes, rate } = pace
  const parts = [RECEIVING.progress(bytes, size)]
  if (rate !== undefined && rate > 0) {
    parts.push(RECEIVING.rate(rate))
    if (size !== undefined && size > bytes) parts.push(RECEIVING.left((size - bytes) / rate))
  }
  return parts.join(' · ')
}

function tellDone(page: HTMLElement, done: Done): void {
  if (done.way === 'disk') showDone(page, [RECEIVING.savedToDisk(done.name)])
  else if (done.way === 'downloads') showDone(page, [RECEIVING.savedToDownloads])
  else if (done.way === 'memory') {
    const again = element('a', { href: done.url, download: done.name }, RECEIVING.saveAgain)
    showDone(page, [RECEIVING.savedFromMemory], element('p', {}, again))
  }
}

/**
 * Takes the key out of the address: the link is used up, so it opens nothing any more but a copy that someone has made of
 * the sealed bytes. Before that it stays, because the page must still open after a reload.
 */
function forgetKey(): void {
  if (location.hash !== '') history.replaceState(history.state, '', location.pathname + location.search)
}

function isTooLarge(error: unknown): boolean {
  return error instanceof EssError && error.code === 'too-large'
}

function wordsOf(error: unknown): string {
  if (!(error instanceof EssError)) return String(error)
  switch (error.code) {
    case 'interrupted':
      return RECEIVING.cancelled
    case 'not-authentic':
      return RECEIVING.changed
    case 'wrong-key':
      return RECEIVING.wrongKey
    case 'file-unwritable':
      return RECEIVING.unwritable
    case 'too-large':
      return RECEIVING.tooLarge(memoryLimit())
    case 'server-unreachable':
      return RECEIVING.unreachable
    default:
      return problemSentences(error)
  }
}

/** Resolves when the page was painted, so that the person sees why it stands still. */
function painted(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
}
