import { headingLook } from '../../shared/heading-look.js'
import { curlLine, formatBytes, quoteUrl } from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'
import { SHELLS } from '../../shared/page-words-shells.js'
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
  const name = fileName ?? (isText ? COMMON.text : COMMON.nameless)
  const kind = isBundle ? paragraph(SHELLS.isBundle) : ''
  const unpack = isBundle
    ? `\n${paragraph(SHELLS.unpack)}\n${preformatted(`curl -f ${quoteUrl(url)} | tar x`)}`
    : ''
  const byClient =
    clientUrl === undefined
      ? ''
      : `\n${paragraph(SHELLS.getChecked)}\n${preformatted(`npx ${clientUrl} get ${url}`)}`
  return linkPage({
    title: name,
    script,
    // A script unpacks a bundle, and shows a text.
    isForScript: isBundle || isText,
    head: `${heading(name)}
${paragraph(factsOf(size))}${kind}${noteOf(isReady)}`,
    body: `<form method="post"><button>${escapeHtml(SHELLS.download)}</button></form>
${details(`${paragraph(COMMON.withCurl)}
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
    title: COMMON.sealedTitle,
    script,
    isForScript: true,
    head: `${heading(COMMON.sealedTitle)}
${paragraph(factsOf(size))}${noteOf(isReady)}`,
    body: `<div class="stack">${paragraph(SHELLS.whereKeyIs)}
<form method="post"><button>${escapeHtml(SHELLS.downloadSealed)}</button></form>
${paragraph(SHELLS.sealedName(fileName))}
${details(`${paragraph(clientUrl === undefined ? SHELLS.getWithEss : SHELLS.getWithEssOrNode)}
${preformatted(`ess get 'LINK'${byNpx}`)}
${paragraph(SHELLS.getWithAge)}
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

function heading(title: string): string {
  const look = headingLook(title)
  return `<h1${look === '' ? '' : ` class="${look}"`}>${escapeHtml(title)}</h1>`
}

function paragraph(text: string): string {
  return `<p>${escapeHtml(text)}</p>`
}

function factsOf(size: number | undefined): string {
  return COMMON.row([size === undefined ? COMMON.sizeUnknown : formatBytes(size), COMMON.worksOnce])
}

function noteOf(isReady: boolean): string {
  return isReady ? '' : paragraph(COMMON.notStarted)
}
