import { FACTS_ELEMENT, type PageFacts } from '../shared/page-facts.js'
import { closedUploadPath, downloadPath, joinUrl, uploadEventsPath, uploadPath } from '../shared/routes.js'

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
  // `https://any:TOKEN@host/`: a browser sends no request to such a URL, and the token is not for others.
  root.username = ''
  root.password = ''
  root.search = ''
  root.hash = ''
  return { ...facts, root, base: facts.base ?? root.href.replace(/\/+$/, '') }
}

/** The URL of an address of the server, for the page's own requests. `path` is one of `shared/routes.ts`. */
export function addressOf({ root }: Pick<Facts, 'root'>, path: string): URL {
  return new URL(path.replace(/^\/+/, './'), root)
}

/**
 * The addresses of an upload, for the page's own requests. The server's answer to a reservation has its public name in
 * them, which may be of another origin than the page: behind a proxy of which the server knows nothing, for instance.
 * The policy of the page allows its own origin alone. `upload` is that answer's member.
 */
export function uploadAddresses(
  facts: Pick<Facts, 'root'>,
  upload: string,
): { upload: URL; events: URL; closed: URL } {
  const token = upload.slice(upload.lastIndexOf('/') + 1)
  return {
    upload: addressOf(facts, uploadPath(token)),
    events: addressOf(facts, uploadEventsPath(token)),
    closed: addressOf(facts, closedUploadPath(token)),
  }
}

/** The link for the receiver, without the key of what is sealed. */
export function linkOf({ base }: Pick<Facts, 'base'>, id: string, fileName?: string): string {
  return joinUrl(base, downloadPath(id, fileName))
}
