import { createHash } from 'node:crypto'
import { FACTS_ELEMENT, type PageFacts } from '../../shared/page-facts.js'
import { COMMON } from '../../shared/page-words.js'
import { assetEntries, styleText } from './web-assets.js'

/** What is on a page. */
export interface PageParts {
  readonly title: string
  /** The content of `main`, as HTML. */
  readonly body: string
  /** Below it, as HTML: it stays when a script takes `main` over. */
  readonly footer?: string
  /** Undefined for a page without a script. */
  readonly script?: PageScript | undefined
}

/** The script that takes over a page's `main`, and what it is told. */
export interface PageScript {
  readonly entry: 'send' | 'receive'
  readonly facts: PageFacts
}

/** A page with the fields that belong to it. */
export interface HtmlPage {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Of every page. */
const HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  // With no-referrer, a browser would hide where the button's form comes from, and it would look like another site's.
  'Referrer-Policy': 'same-origin',
  'X-Robots-Tag': 'none',
} as const

/** Nothing of other sites, no frames and no workers. Text never becomes code: a browser with Trusted Types refuses it. */
const SCRIPTED_POLICY = {
  'style-src': "'self'",
  'connect-src': "'self'",
  'img-src': "'self' data:",
  'require-trusted-types-for': "'script'",
  'trusted-types': "'none'",
} as const

/**
 * What a page does by itself, before its script is there. If that can't be loaded, it shows what it has for those without a
 * script. And behind a proxy that takes `/tools/ess` away from all addresses, the page at `/tools/ess` would look for its
 * script beside that: only the browser knows that a slash is missing.
 */
const IF_NOT_LOADED =
  "addEventListener('error',e=>{if(e.target.tagName==='SCRIPT')document.documentElement.classList.add('scriptless')},true)"
const ADD_SLASH =
  "if(!location.pathname.endsWith('/'))location.replace(location.pathname+'/'+location.search+location.hash)"

/** Where the style was not built. */
const PLAIN_STYLE =
  ':root{color-scheme:light dark}body{max-width:40rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif}pre{white-space:pre-wrap}h1,p,pre{overflow-wrap:anywhere}p{white-space:pre-line}'

/** A page without a script, which looks like the others and loads nothing: its address may be anywhere. */
interface StyledHead {
  readonly policy: string
  readonly lines: string
}

let styledHead: StyledHead | undefined

/** True if this installation has the pages' scripts. */
export function hasPageScripts(): boolean {
  return assetEntries() !== undefined
}

/** The whole page. */
export function htmlPage({ title, body, footer, script }: PageParts): HtmlPage {
  const { policy, lines } = script === undefined ? headWithStyle() : headWithScript(script)
  return {
    headers: { ...HEADERS, 'Content-Security-Policy': policy },
    body: `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex, nofollow">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="${ICON}">
${lines}
<main id="page">
${body}
</main>${footer === undefined ? '' : `\n<footer>\n${footer}\n</footer>`}${script === undefined ? '' : `\n${factsElement(script.facts)}`}
</html>
`,
  }
}

/** A browser that finds no icon in the page asks for /favicon.ico, which would be one more 404 of its client. */
const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#1f5fd0"/><path d="M16 24V9m-6 6 6-6 6 6" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>',
)}`

function headWithScript({ entry, facts: { root } }: PageScript): StyledHead {
  const entries = assetEntries()
  // Whoever adds a script has asked `hasPageScripts`.
  if (entries === undefined) throw new Error('Expected the scripts of the pages, got none')
  const { file, needs } = entries[entry]
  const urlOf = (name: string) => escapeHtml(`${root}web/${name}`)
  const own = entry === 'send' && root === './' ? `${IF_NOT_LOADED};${ADD_SLASH}` : IF_NOT_LOADED
  return {
    policy: policyOf({ ...SCRIPTED_POLICY, 'script-src': `'self' ${sourceOf(own)}` }),
    lines: [
      `<script>${own}</script>`,
      `<link rel="stylesheet" href="${urlOf(entries.style.file)}">`,
      ...needs.map((name) => `<link rel="modulepreload" href="${urlOf(name)}">`),
      `<script type="module" src="${urlOf(file)}"></script>`,
    ].join('\n'),
  }
}

function headWithStyle(): StyledHead {
  if (styledHead === undefined) {
    const style = (styleText() ?? PLAIN_STYLE).trim()
    styledHead = {
      policy: policyOf({ 'style-src': sourceOf(style), 'img-src': 'data:' }),
      lines: `<style>${style}</style>`,
    }
  }
  return styledHead
}

/** What allows this text alone, in the page itself. */
function sourceOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

/** A policy that allows what `sources` says, forms to this server, and nothing else. */
function policyOf(sources: Readonly<Record<string, string>>): string {
  const all = {
    'default-src': "'none'",
    ...sources,
    'form-action': "'self'",
    'frame-ancestors': "'none'",
    'base-uri': "'none'",
  }
  return Object.entries(all)
    .map((directive) => directive.join(' '))
    .join('; ')
}

/** No text in it can end the element or begin a comment (HTML, 4.12.1.3). */
function factsElement(facts: PageFacts): string {
  const json = JSON.stringify(facts).replace(/[<>&]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`)
  return `<script type="application/json" id="${FACTS_ELEMENT}">${json}</script>`
}

/** Text as HTML shows it, in an element or an attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** Lines to copy. */
export function preformatted(text: string): string {
  return `<pre>${escapeHtml(text)}</pre>`
}

/** Lines for a terminal, which a person opens. `body` is HTML. */
export function details(body: string): string {
  return `<details><summary>${COMMON.terminal}</summary>\n${body}\n</details>`
}
