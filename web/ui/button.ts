import { element } from './element.js'

/** A button. A page has one that is meant; others are `quiet`. */
export function button(
  text: string,
  act: () => Promise<void> | void,
  look: '' | 'quiet' = '',
): HTMLButtonElement {
  const made = element('button', { type: 'button', className: look }, text)
  made.addEventListener('click', () => void act())
  return made
}
