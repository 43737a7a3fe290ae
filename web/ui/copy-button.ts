import { button } from './button.js'
import { copyText } from './copy.js'
import { element } from './element.js'

/** How long it says that it has copied. */
const SAID_MS = 3000

export interface CopyWords {
  readonly copy: string
  readonly copied: string
  /** What a person does where the browser doesn't let us. */
  readonly notCopied: string
}

/** A button that copies a text, and what it says of that, which is read aloud. `select` makes copying by hand easy. */
export function copyButton(
  text: string,
  words: CopyWords,
  select: () => void,
  onCopied: () => void = () => {},
): { readonly button: HTMLButtonElement; readonly said: HTMLElement } {
  const said = element('p', { className: 'unseen', set: { role: 'status' } })
  let timer: ReturnType<typeof setTimeout> | undefined
  const made = button(words.copy, async () => {
    const isCopied = await copyText(text)
    clearTimeout(timer)
    made.textContent = isCopied ? words.copied : words.copy
    said.textContent = isCopied ? words.copied : words.notCopied
    said.classList.toggle('unseen', isCopied)
    if (!isCopied) return select()
    onCopied()
    timer = setTimeout(() => {
      made.textContent = words.copy
      said.textContent = ''
    }, SAID_MS)
  })
  return { button: made, said }
}
