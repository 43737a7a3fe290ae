import { isProblemCode, PROBLEMS, type ProblemCode } from '../../shared/index.js'

/** What is wrong with an answer; the message says where. */
class BadAnswer extends Error {}

const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d) ([\x20-\x7e]*)$/
/** RFC 9112, 5, without what only old servers send. */
const FIELD_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|)$/

/** Everything that the server said on one connection. */
export interface Spoken {
  /** A character a byte. */
  readonly text: string
  /** True when the server closed its half; false when it was reset, or we had heard enough. */
  readonly isEnded: boolean
  /** True where an answer may be one to HEAD, whose length is that of nothing. */
  readonly mayBeHead: boolean
}

/**
 * Reads the answers of one connection as strictly as any client might: heads, framing, and that each refusal is one
 * of our own, with its status. Gives their statuses; throws at the first thing that is not as it should be.
 */
export function readAnswers({ text, isEnded, mayBeHead }: Spoken): number[] {
  const statuses: number[] = []
  let rest = text
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) {
      if (isEnded) throw new BadAnswer(`a head without end: ${quote(rest)}`)
      break
    }
    const { status, headers } = readHead(rest.slice(0, end))
    statuses.push(status)
    rest = rest.slice(end + 4)
    if (status < 200 || status === 204) continue
    // A download may be cut, by a reset. One that comes with the last bytes is an end in good order to libuv.
    const { body, next } = readBody(rest, headers, { isEnded: isEnded && status !== 200, mayBeHead })
    rest = next
    if (status >= 400 && body !== undefined) checkProblem(status, headers.get('content-type') ?? '', body)
  }
  return statuses
}

function readHead(head: string): { status: number; headers: Map<string, string> } {
  const [first = '', ...lines] = head.split('\r\n')
  const status = STATUS_LINE.exec(first)?.[1]
  if (status === undefined) throw new BadAnswer(`a status line that is none: ${quote(first)}`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = FIELD_LINE.exec(line) ?? []
    if (name === undefined || value === undefined) throw new BadAnswer(`a field that is none: ${quote(line)}`)
    const key = name.toLowerCase()
    if (headers.has(key)) throw new BadAnswer(`two fields of one name: ${quote(line)}`)
    if (key === 'x-injected') throw new BadAnswer('a field that the client has put in')
    headers.set(key, value)
  }
  if (headers.has('content-length') && headers.has('transfer-encoding'))
    throw new BadAnswer('a length and a transfer coding')
  return { status: Number(status), headers }
}

/** `body` is undefined where it is not all there. */
function readBody(
  text: string,
  headers: ReadonlyMap<string, string>,
  { isEnded, mayBeHead }: Pick<Spoken, 'isEnded' | 'mayBeHead'>,
): { body: string | undefined; next: string } {
  const isNext = text === '' || text.startsWith('HTTP/1.1 ')
  const coding = headers.get('transfer-encoding')
  if (mayBeHead && isNext) return { body: undefined, next: text }
  if (coding !== undefined) {
    if (coding !== 'chunked') throw new BadAnswer(`a transfer coding: ${quote(coding)}`)
    return readChunks(text)
  }
  const declared = headers.get('content-length')
  // RFC 9112, 6.3: to the end of the connection.
  if (declared === undefined) return { body: isEnded ? text : undefined, next: '' }
  if (!/^\d+$/.test(declared)) throw new BadAnswer(`a length: ${quote(declared)}`)
  const length = Number(declared)
  if (text.length >= length) return { body: text.slice(0, length), next: text.slice(length) }
  if (isEnded) throw new BadAnswer(`a body of ${text.length} bytes that ends well, of ${length}`)
  return { body: undefined, next: '' }
}

/** A status stream that failed ends without its last chunk. */
function readChunks(text: string): { body: string | undefined; next: string } {
  let body = ''
  let rest = text
  for (;;) {
    const [line = '', digits] = /^([0-9a-f]{1,8})\r\n/.exec(rest) ?? []
    if (digits === undefined) {
      if (/^(?:[0-9a-f]{0,8}\r?)$/.test(rest)) return { body: undefined, next: '' }
      throw new BadAnswer(`a chunk that is none: ${quote(rest)}`)
    }
    const size = Number.parseInt(digits, 16)
    if (size === 0) return readTrailer(body, rest.slice(line.length))
    const end = line.length + size
    if (rest.length < end + 2) return { body: undefined, next: '' }
    if (rest.slice(end, end + 2) !== '\r\n') throw new BadAnswer(`a chunk that goes on: ${quote(rest)}`)
    body += rest.slice(line.length, end)
    rest = rest.slice(end + 2)
  }
}

function readTrailer(body: string, text: string): { body: string | undefined; next: string } {
  if (text.startsWith('\r\n')) return { body, next: text.slice(2) }
  const [trailer] = /^Ess-Length: \d+\r\n\r\n/.exec(text) ?? []
  if (trailer !== undefined) return { body, next: text.slice(trailer.length) }
  if (text.length < 4) return { body: undefined, next: '' }
  throw new BadAnswer(`a trailer: ${quote(text)}`)
}

const BUTTON = '<form method="post"><button>Download</button></form>'

/** Every refusal names a code of ours, whose status it has; a bug is none that a client may cause. */
function checkProblem(status: number, contentType: string, body: string): void {
  // The page of a link is no refusal, and passes for no file.
  if (status === 406 && contentType.startsWith('text/html') && body.includes(BUTTON)) return
  const code = codeOf(status, contentType, body)
  if (code === undefined) throw new BadAnswer(`a ${status} that is none of ours: ${quote(body)}`)
  if (code === 'internal-error') throw new BadAnswer(`a bug of the server: ${quote(body)}`)
  if (PROBLEMS[code].status !== status) throw new BadAnswer(`the status ${status} for ${code}`)
}

function codeOf(status: number, contentType: string, body: string): ProblemCode | undefined {
  if (contentType.startsWith('text/html')) {
    // A page has the title alone, as HTML.
    const said = /<title>(.*)<\/title>/.exec(body)?.[1]?.replaceAll('&#39;', "'")
    const entries = Object.entries(PROBLEMS).filter(([, kind]) => kind.status === status)
    const found = entries.find(([, { title }]) => title === said)?.[0]
    return found !== undefined && isProblemCode(found) ? found : undefined
  }
  const code = contentType.startsWith('application/problem+json')
    ? /^\{"type":"urn:ess:problem:([a-z-]+)",.*\}\n$/s.exec(body)?.[1]
    : /^.* \[([a-z-]+)\]\n$/s.exec(body)?.[1]
  return code !== undefined && isProblemCode(code) ? code : undefined
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}
