import { FACTS_ELEMENT, type PageFacts } from '../../shared/page-facts.js'

/** The facts that a page has for its script. */
export function factsIn(html: string): PageFacts {
  const [, json] = new RegExp(
    `<script type="application/json" id="${FACTS_ELEMENT}">(.*?)</script>`,
    's',
  ).exec(html) ?? ['', '']
  if (!json) throw new Error(`Expected a page with facts, got ${html.slice(0, 500)}`)
  // A page of this build.
  return JSON.parse(json) as PageFacts
}

/** The addresses that a page makes a browser load, as they stand in it. */
export function loadedBy(html: string): string[] {
  return [
    ...html.matchAll(/<(?:script|link|img|iframe|source|object|embed)\b[^>]*?\s(?:src|href|data)="([^"]*)"/g),
  ]
    .map(([, address = '']) => address)
    .filter((address) => !address.startsWith('data:'))
}

/** The scripts that a page's policy allows: the server's own, and the one line in the page itself. */
export const OWN_SCRIPTS = /^'self' 'sha256-[\w+/]{43}='$/

/** The directives of a Content-Security-Policy. */
export function policyOf(field = ''): Readonly<Record<string, string>> {
  const directives = field.split('; ').map((directive): [string, string] => {
    const at = directive.indexOf(' ')
    return [directive.slice(0, at), directive.slice(at + 1)]
  })
  return Object.fromEntries(directives)
}
