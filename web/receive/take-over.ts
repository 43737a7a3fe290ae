import { EssError } from '../../shared/index.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'
import { wordsOf } from './failure.js'
import type { LinkPage } from './link-page.js'
import type { Offer } from './offer.js'
import { openLink } from './open-link.js'
import { removeLeft } from './save/storage.js'
import { showFailed, showOffer } from './screens.js'
import { choicesFor, take } from './take.js'

/** Opens what is sealed, shows what there is, and lets the person have it. */
export async function takeOver(linkPage: LinkPage): Promise<void> {
  void removeLeft()
  try {
    present(linkPage, await openLink(linkPage))
  } catch (error) {
    // A part of the page could not be loaded, and nothing is used up.
    const isAway = error instanceof EssError && error.code === 'server-unreachable'
    const again = isAway ? ([RECEIVING.tryAgain, () => location.reload()] as const) : undefined
    showFailed(linkPage.page, undefined, wordsOf(error), again)
  }
}

function present(linkPage: LinkPage, offer: Offer): void {
  const again = () => present(linkPage, offer)
  showOffer(linkPage.page, offer, linkPage, choicesFor(offer), (name) => take(linkPage, offer, name, again))
}
