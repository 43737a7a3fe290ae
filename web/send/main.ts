import { EssError } from '../../shared/index.js'
import { readFacts } from '../facts.js'
import { WORDS } from '../words.js'
import { SendForm, type Wish } from './form.js'
import { Panel } from './panel.js'
import { transfer } from './transfer.js'

const facts = readFacts(document)
const page = document.querySelector('main') ?? document.body
const form = new SendForm(facts, (wish) => void send(wish))
page.replaceChildren(form.root)

/** Sends, and shows how it goes, until it has ended and the person is back at the form. */
async function send({ parcel, isSealed, token }: Wish): Promise<void> {
  const cancelling = new AbortController()
  const panel = new Panel(parcel, {
    cancel: () => cancelling.abort(new EssError('interrupted')),
    again: (isSame) => {
      if (!isSame) form.clear()
      backToForm()
      form.focus()
    },
  })
  let isOffered = false
  window.addEventListener('beforeunload', askFirst)
  page.replaceChildren(panel.root)
  panel.focus()
  try {
    const { signal } = cancelling
    const delivery = await transfer(
      facts,
      parcel,
      { isSealed, token, signal },
      {
        onOffer(offer) {
          isOffered = true
          panel.onOffer(offer)
        },
        onEvent: (event) => panel.onEvent(event),
      },
    )
    panel.onDelivered(delivery)
  } catch (error) {
    if (!(error instanceof EssError)) throw error
    if (error.code === 'interrupted') panel.onCancelled()
    else if (isOffered) panel.onFailed(error)
    else {
      // Nothing was given away yet, so the form is the place to put it right.
      backToForm()
      form.refuse(error)
    }
  } finally {
    window.removeEventListener('beforeunload', askFirst)
  }
}

function backToForm(): void {
  page.replaceChildren(form.root)
  document.title = WORDS.title
}

/** A browser asks the person in words of its own whether to leave the page. */
function askFirst(event: BeforeUnloadEvent): void {
  event.preventDefault()
}
