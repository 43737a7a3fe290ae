import { wordsOf } from './failure.js'
import type { LinkPage } from './link-page.js'
import type { Offer } from './offer.js'
import { openLink } from './open-link.js'
import { showFailed, showOffer } from './screens.js'
import { choicesFor, take } from './take.js'

/** Opens what is sealed, shows what there is, and lets the person have it. */
export async function takeOver(linkPage: LinkPage): Promise<void> {
  try {
    present(linkPage, await openLink(linkPage))
  } catch (error) {
    showFailed(linkPage.page, undefined, wordsOf(error), undefined)
  }
}

function present(linkPage: LinkPage, offer: Offer): void {
  const again = () => present(linkPage, offer)
  showOffer(linkPage.page, offer, linkPage, choicesFor(offer), (name) => take(linkPage, offer, name, again))
}
