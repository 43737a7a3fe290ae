import { isForPassphrase } from '../../shared/age-header.js'
import { EssError } from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'
import { splitNote } from '../../shared/sealed-note.js'
import { wordsOf } from './failure.js'
import { keysIn } from './keys.js'
import type { LinkPage } from './link-page.js'
import { ageFileOffer, type Known, type Offer, plainOffer, sealedOffer } from './offer.js'
import { ask, showOpening } from './screens.js'

/** Opens the note, with as many answers of the person as it takes. The link stays unused. */
export async function openLink({ page, known, key, keyProblem }: LinkPage): Promise<Offer> {
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
      title: COMMON.sealedTitle,
      words: nextSteps(given.length > 0, keyProblem !== undefined),
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

/** What to do now, with a link whose key is wrong, or damaged, or not there. */
function nextSteps(hasKey: boolean, isDamaged: boolean): readonly string[] {
  if (hasKey) return [RECEIVING.wrongKeyNext]
  return isDamaged ? [RECEIVING.noKeyNext] : [RECEIVING.noKey, RECEIVING.noKeyNext]
}

async function openByPassword(page: HTMLElement, known: Known, note: string): Promise<Offer> {
  for (let problem: string | undefined; ; ) {
    const password = await ask(page, {
      title: COMMON.sealedTitle,
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

/** Resolves when the page was painted, so that the person sees why it stands still. */
function painted(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
}
