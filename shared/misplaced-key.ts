import { EssError } from './problems.js'

/** The beginning of a key. A file may have SECRET-KEY in its name, but not this. */
const BEGIN_OF_KEY = /AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]/i

/** What chats, mail programs and redirectors make of the `#` before a key. */
const CHANGED_HASH = /(?:%(?:25)*23|\uff03|%ef%bc%83)(?=age-secret-key-)/gi

/** The same text, with a `#` before its key where there was one that became something else on its way. */
export function withHash(link: string): string {
  return link.replace(CHANGED_HASH, '#')
}

/** Throws EssError `usage` if there is a secret key in what goes to a server. The message doesn't show it. */
export function expectNoKey(sent: string): void {
  let text = sent
  // A link within another one is encoded twice.
  for (let times = 0; times < 3; times++) {
    if (BEGIN_OF_KEY.test(text)) throw misplacedKey()
    text = text.replace(/%([0-7][0-9a-f])/gi, (_all, code: string) => String.fromCharCode(parseInt(code, 16)))
  }
  if (BEGIN_OF_KEY.test(text)) throw misplacedKey()
}

function misplacedKey(): EssError {
  return new EssError(
    'usage',
    'There is a secret key in this link, but not behind a #, and so it would go to the server. Nothing was sent. Copy the link again from the sender, or put a # before AGE-SECRET-KEY.',
  )
}
