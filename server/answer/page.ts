import { curlLine, formatBytes, quoteUrl } from '../../shared/index.js'
import { quoteForShell } from '../../shared/shell-word.js'

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
}

/** The same of a sealed file, whose name in the open is made of its link. */
export type SealedOffer = Omit<Offer, 'isBundle' | 'fileName'> & { readonly fileName: string }

/** Headers of every page: no script, nothing from other sites, and no framing. */
export const PAGE_HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'X-Content-Type-Options': 'nosniff',
  // With no-referrer, a browser would hide where the button's form comes from, and it would look like another site's.
  'Referrer-Policy': 'same-origin',
  'X-Robots-Tag': 'none',
} as const

/** Headers of a download page. The name keeps programs that save the page from giving it the file's name. */
export const DOWNLOAD_PAGE_HEADERS = {
  ...PAGE_HEADERS,
  'Content-Disposition': 'inline; filename="download-page.html"',
} as const

/**
 * The page for a person who opens a link in a browser. Looking doesn't use the link up. The button does, by a POST,
 * which robots that follow links don't send.
 */
export function downloadPage({ fileName, size, url, isReady, clientUrl, isBundle = false }: Offer): string {
  const name = fileName ?? 'A file without a name'
  const kind = isBundle ? '<p>Several files or a folder, as one tar.</p>' : ''
  const unpack = isBundle
    ? `\n<p>Or unpack it into the current folder, as it comes:</p>\n${pre(`curl -f ${quoteUrl(url)} | tar x`)}`
    : ''
  const byClient =
    clientUrl === undefined
      ? ''
      : `\n<p>With Node, and checked to the last byte:</p>\n${pre(`npx ${clientUrl} get ${url}`)}`
  return page(
    name,
    `<h1>${escapeHtml(name)}</h1>
<p>${factsOf(size)}</p>${kind}${noteOf(isReady)}
<form method="post"><button>Download</button></form>
<p>Or in a terminal:</p>
${pre(curlLine(url, fileName, 'file'))}${unpack}${byClient}`,
  )
}

/**
 * The same for a sealed file. A browser doesn't send the end of a link, from the # on, so the page can neither open the
 * file nor put the key into its lines. The button gives the file as it is.
 */
export function sealedPage({ fileName, size, url, isReady, clientUrl }: SealedOffer): string {
  const byNpx = clientUrl === undefined ? '' : `\nnpx ${clientUrl} get 'LINK'`
  return page(
    'A sealed file',
    `<h1>A sealed file</h1>
<p>${factsOf(size)}</p>${noteOf(isReady)}
<p>It is encrypted, and this server has no key for it and doesn't know its name. The key is the end of your link, behind the #. If your link has no #, the file is sealed for a key or a password that you and the sender share.</p>
<p>${clientUrl === undefined ? 'With ess' : 'With ess, or by Node alone'}, where LINK is the whole link, with its end:</p>
${pre(`ess get 'LINK'${byNpx}`)}
<p>Or with curl and age. For the file key.txt, copy the end of the link, from AGE-SECRET-KEY on; for a password, leave out -i key.txt:</p>
${pre(`${curlLine(url, fileName, 'file')}\nage -d -i key.txt -o FILE ${quoteForShell(fileName)}`)}
<form method="post"><button>Download it sealed</button></form>
<p>The button uses the link up, and gives you ${escapeHtml(fileName)}, which age opens.</p>`,
  )
}

function factsOf(size: number | undefined): string {
  return [size === undefined ? 'size not known' : formatBytes(size), 'this link works once'].join(' · ')
}

function noteOf(isReady: boolean): string {
  return isReady ? '' : '<p>The sender has not started yet. Your download begins when it does.</p>'
}

function pre(text: string): string {
  return `<pre>${escapeHtml(text)}</pre>`
}

/** The page of a problem, for a person in a browser. The code is for searches. */
export function problemPage(title: string, detail: string, code: string): string {
  // The heading says it already.
  const words = detail.startsWith(`${title}. `) ? detail.slice(title.length + 2) : detail
  return page(
    title,
    `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(words)}</p>\n<p><small>${escapeHtml(code)}</small></p>`,
  )
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${escapeHtml(title)}</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2433; --dim: #5a6478; --paper: #f6f7f9; --card: #fff; --line: #dfe3ea; --key: #1f5fd0 }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e8ebf2; --dim: #9aa4b8; --paper: #12151c; --card: #1b1f29; --line: #303747; --key: #5b93f5 }
  }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
         font: 1rem/1.5 system-ui, sans-serif }
  main { box-sizing: border-box; width: min(34rem, 100vw - 2rem); padding: 2rem; margin: 1rem; background: var(--card);
         border: 1px solid var(--line); border-radius: .75rem }
  h1 { margin: 0; font-size: 1.35rem; line-height: 1.3; overflow-wrap: anywhere }
  p { margin: .5rem 0 0; color: var(--dim); white-space: pre-line; overflow-wrap: anywhere }
  form { margin: 1.5rem 0 }
  button { width: 100%; padding: .8rem 1rem; border: 0; border-radius: .5rem; background: var(--key); color: var(--card);
           font: inherit; font-weight: 600; cursor: pointer }
  button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px }
  pre { margin: .5rem 0 0; padding: .75rem; background: var(--paper); border: 1px solid var(--line); border-radius: .5rem;
        font: .85rem/1.4 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
</style>
<main>
${body}
</main>
</html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
