import { PAGE_WORDS } from '../../shared/page-words.js'
import { sendWithCurl, sendWithEss, type Terms } from './how-to.js'
import { details, escapeHtml, type HtmlPage, htmlPage, type PageScript, preformatted } from './page.js'

/** The page at `/`, where a person sends. How to do it in a terminal stands below, with and without a script. */
export function sendPage(terms: Terms, facts: PageScript['facts']): HtmlPage {
  const { words, lines } = sendWithCurl(terms)
  return htmlPage({
    title: PAGE_WORDS.send,
    body: `<h1>${PAGE_WORDS.send}</h1>
<p class="without-script">This page needs a browser that runs its script. You can also send from a terminal.</p>`,
    footer: details(`<p>${escapeHtml(words)}</p>
${preformatted(lines.join('\n'))}
<p>With ess, which also checks that every byte arrived:</p>
${preformatted(sendWithEss(terms, terms.base))}`),
    script: { entry: 'send', facts },
  })
}
