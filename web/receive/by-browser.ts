import { RECEIVING } from '../../shared/page-words-receiving.js'
import { element } from '../ui/element.js'

/**
 * In place of the button by which the browser itself downloads the file. Nothing tells the page how that ends; but the
 * button has done its work, and the link is not one that waits any more.
 */
export function showByBrowser(form: HTMLElement): void {
  form.replaceWith(element('p', { set: { role: 'status' } }, RECEIVING.byBrowser))
}
