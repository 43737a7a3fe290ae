import { EssError } from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'
import { SENDING } from '../../shared/page-words-sending.js'
import { readFacts } from '../facts.js'
import { load } from '../http/load.js'
import { SendForm, type Wish } from './form.js'

const facts = readFacts(document)
const page = document.querySelector('main') ?? document.body
const form = new SendForm(facts, send)
page.replaceChildren(form.root)

// It is here long before the person has chosen a file, and the page is seen without it.
const loading = import('./sending.js')
// Who presses the button is told.
loading.catch(() => undefined)

/**
 * Sends, and shows how it goes. Resolves when the link is there, and rejects with the EssError that keeps it from being
 * made: nothing was given away yet, so the form is the place to put it right.
 */
async function send({ what, isSealed, token }: Wish): Promise<void> {
  const { Panel, parcelOf, textParcel, transfer } = await load(loading)
  const parcel = typeof what === 'string' ? textParcel(what) : await parcelOf(what)
  const cancelling = new AbortController()
  const panel = new Panel(parcel, {
    cancel: () => cancelling.abort(new EssError('interrupted', SENDING.stopped)),
    again() {
      backToForm()
      form.sendAgain()
    },
    back(isSame) {
      if (!isSame) form.clear()
      backToForm()
      form.focus()
    },
  })
  window.addEventListener('beforeunload', askFirst)
  page.replaceChildren(panel.root)
  panel.focus()
  let isOffered = false
  const listener: Parameters<typeof transfer>[3] = {
    onOffer(offer) {
      isOffered = true
      panel.onOffer(offer)
    },
    onEvent: (event) => panel.onEvent(event),
  }
  try {
    const { signal } = cancelling
    panel.onDelivered(await transfer(facts, parcel, { isSealed, token, signal }, listener))
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    if (error.code === 'interrupted') panel.onCancelled(error.message)
    else if (isOffered) panel.onFailed(error)
    else {
      backToForm()
      throw error
    }
  } finally {
    window.removeEventListener('beforeunload', askFirst)
  }
}

function backToForm(): void {
  page.replaceChildren(form.root)
  document.title = COMMON.sendTitle
}

/** A browser asks the person in words of its own whether to leave the page. */
function askFirst(event: BeforeUnloadEvent): void {
  event.preventDefault()
}
