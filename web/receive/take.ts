import { EssError, formatPart, type ProblemCode } from '../../shared/index.js'
import { Pace } from '../../shared/pace.js'
import { COMMON } from '../../shared/page-words.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'
import { sayLastWord } from '../http/last-word.js'
import { load } from '../http/load.js'
import { AWAY } from '../http/until-back.js'
import { element } from '../ui/element.js'
import { Stopped, wordsOf } from './failure.js'
import type { LinkPage } from './link-page.js'
import type { Offer } from './offer.js'
import { receive } from './receive.js'
import { chooseWay } from './save/choose.js'
import { memoryLimit } from './save/memory.js'
import { picked, pickers } from './save/pickers.js'
import type { Done, Way } from './save/sink.js'
import { toText } from './save/text.js'
import {
  type Choice,
  MAX_LISTED,
  otherWays,
  type ProgressScreen,
  showCancelled,
  showDone,
  showFailed,
  showProgress,
  showText,
  titleOf,
} from './screens.js'

/** What a person can do with an offer. */
export type ChoiceName = 'save' | 'text' | 'folder' | 'zip'

/** The best one first. */
export function choicesFor({ isText, bundle }: Offer): readonly Choice<ChoiceName>[] {
  if (isText) return [['text', RECEIVING.showText]]
  if (bundle === undefined) return [['save', RECEIVING.save]]
  const zip = ['zip', RECEIVING.saveZip] as const
  return pickers().showDirectoryPicker === undefined ? [zip] : [['folder', RECEIVING.saveFolder], zip]
}

/** With these, nothing is used up. */
const UNASKED: readonly ProblemCode[] = ['server-unreachable', ...AWAY]

/** The person has clicked. `again` shows the offer once more. */
export async function take(
  linkPage: LinkPage,
  offer: Offer,
  name: ChoiceName,
  again: () => void,
): Promise<void> {
  const { page, facts, key } = linkPage
  const news: News = { screen: undefined, hasBegun: false, entries: 0, leftOut: [], renamed: [] }
  try {
    if (name === 'text') {
      const text = toText()
      await run(linkPage, offer, text, news)
      showText(page, text.text)
      return
    }
    const way = await (offer.bundle === undefined
      ? chooseWay(offer)
      : wayOfBundle(offer, name === 'folder', news))
    if (way !== undefined) tellDone(page, offer, await run(linkPage, offer, way, news), news)
  } catch (error) {
    const code = error instanceof EssError ? error.code : undefined
    const isTooLarge = code === 'too-large' && !news.hasBegun
    const lines = isTooLarge ? [otherWays(facts, offer, key)] : []
    const words =
      code === 'too-large' && news.hasBegun ? RECEIVING.tooLargeMidway(memoryLimit()) : wordsOf(error)
    if (code === 'interrupted') showCancelled(page, offer)
    else if (isTooLarge) showFailed(page, offer, words, [RECEIVING.back, again], ...lines)
    else if (code !== undefined && UNASKED.includes(code))
      showFailed(page, offer, words, [RECEIVING.tryAgain, again])
    else showFailed(page, offer, words, undefined)
  }
}

/** Bundles tell of themselves as they come. */
interface News {
  screen: ProgressScreen | undefined
  /** True once the sender's first byte is on its way: then the link is used up. */
  hasBegun: boolean
  /** How many have come. */
  entries: number
  readonly leftOut: string[]
  /** An old name and the new one, for a person to read. */
  readonly renamed: string[]
}

async function wayOfBundle(offer: Offer, isFolder: boolean, news: News): Promise<Way | undefined> {
  const { showDirectoryPicker } = pickers()
  const { bundle = { entries: 0 }, size } = offer
  const stem = offer.name.replace(/\.tar$/i, '')
  // Mostly all is in one folder, which the heading names.
  const within = (name: string) => (name.startsWith(`${stem}/`) ? name.slice(stem.length + 1) : name)
  const listener = {
    onEntry(name: string) {
      news.entries++
      if (within(name) !== '') news.screen?.list(within(name))
    },
    onLeftOut: (name: string) => void news.leftOut.push(within(name)),
    onRenamed: (from: string, to: string) =>
      void news.renamed.push(RECEIVING.becomes(within(from), within(to))),
  }
  const folder =
    isFolder && showDirectoryPicker !== undefined
      ? await picked(() => showDirectoryPicker({ mode: 'readwrite' }))
      : 'not here'
  if (folder === undefined) return undefined
  // Only those who have a bundle load what takes it apart.
  const { toFolder, toZip, unpackTo } = await load(import('./bundle/index.js'))
  if (folder !== 'not here')
    return unpackTo(
      () => toFolder(folder, stem),
      async () => {},
      bundle,
      listener,
    )
  const way = await chooseWay({ name: `${stem}.zip`, size })
  return way && unpackTo(toZip(way, `${stem}.zip`), way.drop, bundle, listener)
}

/** Receives it, while the page shows how it goes. */
async function run({ page, link }: LinkPage, offer: Offer, way: Way, news: News): Promise<Done> {
  const off = new AbortController()
  const cancel = () => off.abort(new EssError('interrupted'))
  const screen = showProgress(page, titleOf(offer), cancel)
  news.screen = screen
  const pace = new Pace(() => performance.now())
  let { size } = offer
  /** While the connection is cut: how long the page keeps trying. */
  let secondsLeft: number | undefined
  const draw = () => screen.progress(pace.bytes, size, courseOf(pace, size, secondsLeft))
  const timer = setInterval(draw, DRAW_MS)
  const leaving = new AbortController()
  window.addEventListener('beforeunload', (event) => event.preventDefault(), { signal: leaving.signal })
  window.addEventListener(
    'pagehide',
    () => {
      sayLastWord(link.closed)
      cancel()
    },
    { signal: leaving.signal },
  )
  try {
    const done = await receive(link, offer, way, off.signal, {
      onClosing: () => screen.closing(),
      onBegun(told) {
        news.hasBegun = true
        size = told
        screen.say(RECEIVING.receiving)
      },
      onProgress: (bytes) => pace.at(bytes),
      onInterrupted(seconds) {
        secondsLeft = seconds
        screen.say(RECEIVING.interrupted, 'paused')
        draw()
      },
      onDiskWaits: () => screen.say(RECEIVING.diskWaits, 'paused'),
      onResumed() {
        secondsLeft = undefined
        screen.say(RECEIVING.receiving)
      },
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

function courseOf({ bytes, rate }: Pace, size: number | undefined, secondsLeft: number | undefined): string {
  const parts = [formatPart(bytes, size)]
  if (secondsLeft !== undefined) return `${parts[0]}\n${COMMON.tryingOn(secondsLeft)}`
  if (rate !== undefined && rate > 0) {
    parts.push(COMMON.rate(rate))
    if (size !== undefined && size > bytes) parts.push(COMMON.left((size - bytes) / rate))
  }
  return COMMON.row(parts)
}

function tellDone(page: HTMLElement, offer: Offer, done: Done, { leftOut, renamed, entries }: News): void {
  const announced = offer.bundle?.entries ?? entries
  const changes = [
    ...(entries < announced ? [element('p', {}, RECEIVING.fewer(entries, announced))] : []),
    ...listed(leftOut, RECEIVING.leftOut(leftOut.length), RECEIVING.leftOutList),
    ...listed(renamed, RECEIVING.renamed(renamed.length), RECEIVING.renamedList),
  ]
  const again =
    done.way === 'downloads'
      ? [
          element(
            'div',
            { className: 'buttons' },
            element(
              'a',
              { className: 'button quiet', href: done.url, download: done.name },
              RECEIVING.saveAgain,
            ),
          ),
        ]
      : []
  const isNamed = done.way === 'disk' || done.way === 'folder'
  showDone(page, isNamed ? undefined : offer, wordsOfDone(done), ...again, ...changes)
}

/** Words about some names, and the names, which a person opens. Nothing if there are none. */
function listed(names: readonly string[], words: string, title: string): readonly Node[] {
  if (names.length === 0) return []
  const lines = names.slice(0, MAX_LISTED).map((name) => element('li', {}, name))
  return [
    element('p', {}, words),
    element('details', {}, element('summary', {}, title), element('ul', { className: 'list' }, ...lines)),
  ]
}

function wordsOfDone(done: Done): string {
  switch (done.way) {
    case 'disk':
      return RECEIVING.savedToDisk(done.name)
    case 'folder':
      return RECEIVING.savedToFolder(done.name)
    case 'downloads':
      return RECEIVING.savedToDownloads
    case 'shown':
      return ''
  }
}

/**
 * Takes the key out of the address: the link is used up, so it opens nothing any more but a copy that someone has made of
 * the sealed bytes. Before that it stays, because the page must still open after a reload.
 */
function forgetKey(): void {
  if (location.hash !== '') history.replaceState(history.state, '', location.pathname + location.search)
}
