import { SHELLS } from '../../shared/page-words-shells.js'
import { escapeHtml, type HtmlPage, htmlPage } from './page.js'

/** The page of a problem, for a person in a browser. The code is for searches. */
export function problemPage(title: string, detail: string, code: string): HtmlPage {
  // The heading says it already.
  const words = detail.startsWith(`${title}. `) ? detail.slice(title.length + 2) : detail
  const next = code === 'unauthorized' ? `\n<p>${escapeHtml(SHELLS.typeToken)}</p>` : ''
  return htmlPage({
    title,
    body: `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(words)}</p>${next}\n<p><small>${escapeHtml(SHELLS.code(code))}</small></p>`,
  })
}
