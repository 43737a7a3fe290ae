import { curlLine, formatBytes, quoteUrl } from '../../shared/index.js'
import { PAGE_WORDS } from '../../shared/page-words.js'
import { quoteForShell } from '../../shared/shell-word.js'
import { details, escapeHtml, type HtmlPage, htmlPage, type PageScript, preformatted } from './page.js'

/** The content of a download page. */
export interface Offer {
  readonly fileName: string | undefined
  /** Bytes; undefined if the sender didn't say. */
  readonly size: number | undefined
  /** The download URL. */
  readonly url: string
  /** False until the sender of a reservation has come. */
  readonly isReady: boolean
  /** Where npx gets the client; undefined if this server doesn't serve it. */
  readonly clientUrl?: string | undefined
  /** True for several files or a folder, as one tar. */
  readonly isBundle?: boolean
  /** True for a text without a name, which a script shows. */
  readonly isText?: boolean
  /** Undefined where the page has none. */
  readonly script?: PageScript | undefined
}

/** The same of a sealed file, whose name in the open is made of its link. */
export type SealedOffer = Omit<Offer, 'isBundle' | 'isText' | 'fileName'> & { readonly fileName: string }

/**
 * The page for a person who opens a link in a browser. Looking doesn't use the link up. The button does, by a POST,
 * which robots that follow links don't send.
 */
export function downloadPage(offer: Offer): HtmlPage {
  const { fileName, size, url, isReady, clientUrl, isBundle = false, isText = false, script } = offer
  const name = fileName ?? (isText ? PAGE_WORDS.text : PAGE_WORDS.nameless)
  const kind = isBundle ? '<p>Several files or a folder, as one tar.</p>' : ''
  const unpack = isBundle
    ? `\n<p>Or unpack it into the current folder, as it comes:</p>\n${preformatted(`curl -f ${quoteUrl(url)} | tar x`)}`
    : ''
  const byClient =
    clientUrl === undefined
      ? ''
      : `\n<p>With Node, and checked to the last byte:</p>\n${preformatted(`npx ${clientUrl} get ${url}`)}`
  return linkPage({
    title: name,
    script,
    // A script unpacks a bundle, and shows a text.
    isForScript: isBundle || isText,
    head: `<h1>${escapeHtml(name)}</h1>
<p>${factsOf(size)}</p>${kind}${noteOf(isReady)}`,
    body: `<form method="post"><button>Download</button></form>
${details(`<p>With curl:</p>
${preformatted(curlLine(url, fileName, 'file'))}${unpack}${byClient}`)}`,
  })
}

/**
 * The same for a sealed file. A browser doesn't send the end of a link, from the # on, so without a script the page can
 * neither open the file nor put the key into its lines. The button gives the file as it is.
 */
export function sealedPage({ fileName, size, url, isReady, clientUrl, script }: SealedOffer): HtmlPage {
  const byNpx = clientUrl === undefined ? '' : `\nnpx ${clientUrl} get 'LINK'`
  return linkPage({
    title: PAGE_WORDS.sealed,
    script,
    isForScript: true,
    head: `<h1>${PAGE_WORDS.sealed}</h1>
<p>${factsOf(size)}</p>${noteOf(isReady)}`,
    body: `<div class="stack"><p>It is encrypted, and this server has no key for it and doesn't know its name. The key is the end of your link, behind the #. If your link has no #, the file is sealed for a key or a password that you and the sender share.</p>
<form method="post"><button>Download it sealed</button></form>
<p>The button uses the link up, and gives you ${escapeHtml(fileName)}, which age opens.</p>
${details(`<p>${clientUrl === undefined ? 'With ess' : 'With ess, or by Node alone'}, where LINK is the whole link, with its end:</p>
${preformatted(`ess get 'LINK'${byNpx}`)}
<p>Or with curl and age. For the file key.txt, copy the end of the link, from AGE-SECRET-KEY on; for a password, leave out -i key.txt:</p>
${preformatted(`${curlLine(url, fileName, 'file')}\nage -d -i key.txt -o FILE ${quoteForShell(fileName)}`)}`)}</div>`,
  })
}

/** The `head` is for everyone. Where a script does better, the `body` is for those who have none. */
function linkPage({
  title,
  head,
  body,
  isForScript,
  script,
}: {
  readonly title: string
  readonly head: string
  readonly body: string
  readonly isForScript: boolean
  readonly script: PageScript | undefined
}): HtmlPage {
  const isReplaced = script !== undefined && isForScript
  const { headers, body: html } = htmlPage({
    title,
    body: `${head}\n${isReplaced ? `<div class="without-script">\n${body}\n</div>` : body}`,
    script,
  })
  // The name keeps programs that save the page from giving it the file's name.
  return {
    headers: { ...headers, 'Content-Disposition': 'inline; filename="download-page.html"' },
    body: html,
  }
}

function factsOf(size: number | undefined): string {
  return [size === undefined ? PAGE_WORDS.sizeUnknown : formatBytes(size), PAGE_WORDS.worksOnce].join(' · ')
}

function noteOf(isReady: boolean): string {
  return isReady ? '' : `<p>${PAGE_WORDS.notStarted}</p>`
}
