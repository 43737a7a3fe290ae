import { COMMON } from '../../shared/page-words.js'
import { SHELLS } from '../../shared/page-words-shells.js'
import { sendWithCurl, sendWithEss, type Terms } from './how-to.js'
import { details, escapeHtml, type HtmlPage, htmlPage, type PageScript, preformatted } from './page.js'

/** The page at `/`, where a person sends. How to do it in a terminal stands below, with and without a script. */
export function sendPage(terms: Terms, facts: PageScript['facts']): HtmlPage {
  const { words, lines } = sendWithCurl(terms)
  return htmlPage({
    title: COMMON.sendTitle,
    body: `<h1>${COMMON.sendTitle}</h1>
<p class="without-script">${escapeHtml(SHELLS.needsScript)}</p>`,
    footer: details(`<p>${escapeHtml(words)}</p>
${lines.map(preformatted).join('\n')}
<p>${escapeHtml(SHELLS.sendChecked)}</p>
${preformatted(sendWithEss(terms, terms.base))}`),
    script: { entry: 'send', facts },
  })
}
