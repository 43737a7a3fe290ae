import { sendWithCurl, sendWithEss, type Terms } from './how-to.js'
import { escapeHtml, type HtmlPage, htmlPage, type PageScript, preformatted } from './page.js'

/** The page at `/`, where a person sends. Without a script it says how to do it in a terminal. */
export function sendPage(terms: Terms, facts: PageScript['facts']): HtmlPage {
  const { words, lines } = sendWithCurl(terms)
  return htmlPage({
    title: 'Send a file',
    body: `<h1>Send a file</h1>
<div class="without-script">
<p>This page needs a browser that runs its script. You can also send from a terminal.</p>
<p>${escapeHtml(words)}</p>
${preformatted(lines.join('\n'))}
<p>With ess, which also checks that every byte arrived:</p>
${preformatted(sendWithEss(terms, terms.base))}
</div>`,
    script: { entry: 'send', facts },
  })
}
