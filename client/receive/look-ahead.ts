import { EssError } from '../../shared/index.js'
import { firstAnswer, isTriedEnough } from './first-answer.js'
import type { GoOnHooks } from './go-on.js'
import { expectPreview, type OpenOffer, type ReceiveOptions, requestDownload, tagOf } from './offer.js'
import { openPreview } from './open-offer.js'
import { afterWaiting, type Wanted } from './wanted.js'

/** The codes of a HEAD that reached no server. A GET would run into the same trouble, and take as long again. */
const UNASKED: readonly string[] = ['interrupted', 'server-unreachable', 'proxy-failed']

/** The codes of a download that we can't open. */
const UNOPENED: readonly string[] = ['key-required', 'wrong-key']

/** Other codes that the GET would only repeat. */
const FINAL: readonly string[] = ['not-authentic', 'usage', 'node-away']

/**
 * Asks for a download's head, once. A HEAD uses nothing up: if the file can't get its name, has no room, or doesn't open
 * with our keys, the transfer is still there for another try.
 */
export class LookAhead {
  readonly #wanted: Wanted
  readonly #options: ReceiveOptions & GoOnHooks
  #asked: Promise<OpenOffer | undefined> | undefined
  #waitedMs = 0
  #isTried = false

  constructor(wanted: Wanted, options: ReceiveOptions & GoOnHooks) {
    this.#wanted = wanted
    this.#options = options
  }

  /** What to GET now. A server may have let the HEAD wait for the sender, and the GET only waits for the rest of that time. */
  get wanted(): Wanted {
    const { url, keyring } = this.#wanted
    return { url: afterWaiting(url, this.#waitedMs), keyring, isTried: this.#isTried }
  }

  /**
   * The offer; undefined if the GET has to tell it, or to tell the trouble in the server's own words. Throws EssError
   * `key-required`, `wrong-key` or `not-authentic`, or why no server was reached.
   */
  offer(): Promise<OpenOffer | undefined> {
    this.#asked ??= this.#ask()
    return this.#asked
  }

  async #ask(): Promise<OpenOffer | undefined> {
    const { url, keyring } = this.#wanted
    const startedAt = performance.now()
    const ask = () => requestDownload('HEAD', url, this.#options, false, tagOf(url))
    const look = firstAnswer(this.#wanted, this.#options, ask, (answer) => expectPreview(answer, url))
    await look.catch(() => {}) // Told below.
    this.#waitedMs = performance.now() - startedAt
    try {
      const { answer, head } = await look
      // A person may take a while to type a password.
      answer.reset()
      return await openPreview(head, keyring)
    } catch (error) {
      const code = error instanceof EssError ? error.code : undefined
      if (error instanceof EssError && UNOPENED.includes(error.code)) throw stillThere(error)
      if (code === undefined || [...UNASKED, ...FINAL].includes(code)) throw error
      this.#isTried = error instanceof EssError && isTriedEnough(url, error)
      return undefined
    }
  }
}

/** True if no server was reached. */
export function isUnasked(error: unknown): error is EssError {
  return error instanceof EssError && UNASKED.includes(error.code)
}

function stillThere(error: EssError): EssError {
  return new EssError(error.code, `${error.message} The link still works.`, { cause: error })
}
