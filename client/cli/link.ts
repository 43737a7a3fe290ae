import {
  downloadPath,
  EssError,
  formatCount,
  isSocketId,
  joinUrl,
  withoutUserinfo,
} from '../../shared/index.js'
import { expectNoKey, withHash } from '../../shared/misplaced-key.js'
import { isHttpUrl, serverUrl, withScheme } from './server-address.js'

/**
 * The id or the whole URL in what was pasted after `ess get`: a link with what a chat puts around it, a link without its
 * scheme, an id with or without a name, a whole line that receives (of `ess` or curl). A fragment stays as it is, and a
 * key beside the link, as in our line for curl and age, becomes one.
 * `server` is your own server. Throws EssError `usage` if there is no link in it.
 */
export function readLink(typed: string, server: string): string {
  const pasted = withHash(typed)
  const line = essLine(pasted)
  if (line !== undefined) return line
  const words = withoutEntities(pasted.replace(UNSEEN, ''))
    .split(/\s+/)
    .map(unwrapped)
    .map((word) => word.replace(/^(https?:)\/(?!\/)/i, '$1//'))
  const found =
    words.find(isHttpUrl) ?? words.map((word) => shortForm(word, server)).find((link) => link !== undefined)
  if (found === undefined) throw noLink(pasted)
  // With a key in its path or its query, it isn't a link to repair.
  if (!found.includes('#')) expectNoKey(found)
  const [key] = found.includes('#') ? [] : (/AGE-SECRET-KEY-(?:PQ-)?1\w+/i.exec(pasted) ?? [])
  if (key !== undefined) return readLink(`${found}#${key}`, server)
  return isSocketId(found) ? found : wholeLink(found)
}

/** Characters without a width, which chats and web pages put around links: spaces, direction marks, soft hyphens. */
const UNSEEN = /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g

/** What a web page's source has in place of `<`, `>`, `&` and quotes. */
const ENTITIES: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  '#39': "'",
  num: '#',
  '#35': '#',
  amp: '&',
}

function withoutEntities(text: string): string {
  return text.replace(
    /&(lt|gt|quot|apos|#39|num|#35|amp);/g,
    (entity, name: string) => ENTITIES[name] ?? entity,
  )
}

/** `ess get ID --server URL`, as `ess send` prints it, pasted as one word. */
function essLine(pasted: string): string | undefined {
  const [, id, server] = /\bess (?:get|receive) ([\w-]+) --server[ =](\S+)/.exec(pasted) ?? []
  if (id === undefined || server === undefined || !isSocketId(id)) return undefined
  return joinUrl(serverUrl(unwrapped(server), '--server'), downloadPath(id))
}

/** Takes away what stands around a link in a chat, a mail or a shell line: `<…>`, quotes, `[text](…)`, a full stop. */
function unwrapped(word: string): string {
  const [, target = word] = /\]\((.+)$/s.exec(word) ?? [] // Markdown
  const start = target.search(/https?:\/\//i)
  // A URL has none of these inside (Slack writes <URL|text>), and only an IPv6 address begins with a bracket.
  const [link = ''] = target
    .slice(Math.max(0, start))
    .replace(/^(?:[<("'`“”‘’«„*]|\[(?![\da-f:.]*\]))+/i, '')
    .split(/[<>"`|“”«»]/)
  return withoutTail(link)
}

/** What ends a sentence, a quotation or a list. */
const TAIL = /[.,;:!?…'’*\]}]$/

function withoutTail(link: string): string {
  let rest = link
  // A name may end in a bracket of its own: report(1)
  const isOpen = () => rest.endsWith(')') && rest.split('(').length < rest.split(')').length
  while (TAIL.test(rest) || isOpen()) rest = rest.slice(0, -1)
  return rest
}

/** `ID`, `ID/name`, `HOST/ID` or `HOST:PORT/ID/name`; any of them may have a query and a fragment. */
function shortForm(word: string, server: string): string | undefined {
  const [path = ''] = word.split(/[?#]/)
  const [first = '', second = '', ...others] = path
    .replace(/^\/{1,2}/, '')
    .replace(/\/+$/, '')
    .split('/')
  if (isSocketId(first) && !isSocketId(second) && others.length === 0) {
    const rest = word.replace(/^\/{1,2}/, '').replace(/\/+$/, '')
    return rest === first ? first : joinUrl(server, `/${rest}`)
  }
  // What is left has a host before the id.
  const isHost = second !== '' && [second, ...others].slice(-2).some(isSocketId)
  return isHost ? withScheme(word, server) : undefined
}

function wholeLink(link: string): string {
  const url = new URL(link)
  url.pathname = url.pathname.replace(/\/+$/, '')
  // A fragment may be a key.
  const [shown = ''] = withoutUserinfo(link).split('#')
  if (url.pathname === '/')
    throw new EssError('usage', `${shown} is a server's address. A link also has an id. ${ADVICE}`)
  if (isClientPackage(url))
    throw new EssError(
      'usage',
      `${shown} is the package of ess, not a link. To install it, run npm i -g ${shown}`,
    )
  return url.href
}

/** A file that is sent may have the package's name: then an id stands before it. */
function isClientPackage({ pathname }: URL): boolean {
  const [name = '', before = ''] = pathname.split('/').reverse()
  return /^ess(?:-\d[\w.+-]*)?\.tgz$/.test(name) && !isSocketId(before)
}

const ADVICE =
  'Paste the link that the sender printed, such as https://send.example.org/AbCdEfGhIjKl, or its id of 12 characters.'

function noLink(pasted: string): EssError {
  // A fragment may be a key.
  const [typed = '', key] = withoutUserinfo(pasted.trim()).split(/#|(?=AGE-SECRET-KEY-)/i)
  const shown = JSON.stringify(typed.slice(0, 200))
  if (/^AGE-SECRET-KEY-/i.test(key ?? typed) && (key === undefined || typed === ''))
    return new EssError('usage', `This is a key, and not the link that it belongs to. ${ADVICE}`)
  if (typed === '') return new EssError('usage', `The link is empty. ${ADVICE}`)
  if (/^[\w-]{6,24}$/.test(typed) && typed.length !== 12)
    return new EssError(
      'usage',
      `${shown} has ${formatCount(typed.length, 'character')}, and an id has 12. ${ADVICE}`,
    )
  return new EssError('usage', `${shown} is no link. ${ADVICE}`)
}
