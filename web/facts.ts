import { FACTS_ELEMENT, type PageFacts } from '../shared/page-facts.js'

/** What the page knows from its server, with its addresses resolved. */
export interface Facts extends Omit<PageFacts, 'root' | 'base'> {
  /** Where the server's addresses begin, with a final slash. It is of the page's own origin, whatever `base` says. */
  readonly root: URL
  /** What the links for other people begin with, without a final slash. */
  readonly base: string
}

/** Reads the facts that the server has put into the page. Throws an Error for a page without them. */
export function readFacts(page: Document): Facts {
  const text = page.getElementById(FACTS_ELEMENT)?.textContent
  if (!text) throw new Error(`Expected an element #${FACTS_ELEMENT} with facts, got none`)
  // The same build has written it: script and page are of one version.
  const facts = JSON.parse(text) as PageFacts
  const root = new URL(facts.root, page.baseURI)
  root.search = ''
  root.hash = ''
  return { ...facts, root, base: facts.base ?? root.href.replace(/\/+$/, '') }
}

/**
 * The URL of an address of the server, for the page's own requests: the policy of the page allows its origin alone.
 * `path` is one of `shared/routes.ts`, or a URL that the server gave, which may have the operator's public name.
 */
export function addressOf(facts: Pick<Facts, 'root' | 'base'>, path: string): URL {
  const below = path.startsWith(facts.base) ? path.slice(facts.base.length) : path
  return new URL(below.replace(/^\/+/, ''), facts.root)
}
