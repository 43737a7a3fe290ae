import fc from 'fast-check'

/*
 * Requests as a hostile or a broken client sends them: first the protocol's own grammar, with what is odd in each
 * place, then bytes that are flipped, lost, doubled or put in anywhere. All of it is text, a character a byte.
 */

/** What stands for a name that is only known when a request is sent. */
export const PLACES = {
  /** The id of a sender that waits. */
  sender: '@SENDER@',
  /** The id of a reservation. */
  reservation: '@RESERVATION@',
  /** The token of the same reservation. */
  token: '@TOKEN@',
} as const

/** How the client goes on when it has written everything. */
export type After = 'closes its half' | 'waits' | 'is received' | 'stays' | 'resets'

/** One connection of a hostile client. */
export interface Attempt {
  readonly bytes: string
  /** Where the bytes are cut into writes of their own. */
  readonly cuts: readonly number[]
  readonly after: After
}

const CRLF = '\r\n'

/** From 0 to 1, everything as likely: left to itself, fast-check takes the beginning too often. */
const share = fc.noBias(fc.nat(10_000)).map((part) => part / 10_000)
const INJECTION = '\r\nX-Injected: yes\r\n\r\n'

/** Text of any bytes, line ends and what means something in a header above all. */
const anyBytes = fc.oneof(
  fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 40,
  }),
  fc.string({
    unit: fc.constantFrom('\r', '\n', '\0', ' ', '\t', ':', ';', '"', '=', '%', '\x9b', '\xff'),
    maxLength: 12,
  }),
)
const names = fc
  .oneof(
    fc.constantFrom(
      'a.txt',
      '..',
      '../../etc/passwd',
      '-rf',
      '.bashrc',
      'CON',
      `a${INJECTION}b`,
      'x'.repeat(300),
    ),
    fc.constantFrom(
      '\u202egpj.exe',
      '\x1b[31mred',
      '\x9b31m',
      'é'.repeat(200),
      '"; filename=b',
      'a\\"b',
      '%00',
      '\ufeff',
    ),
    fc.string({ maxLength: 20 }),
  )
  .map((name) => Buffer.from(name).toString('latin1'))
const encodedNames = names.map((name) => encodeURIComponent(Buffer.from(name, 'latin1').toString()))

const numbers = fc.oneof(
  fc.constantFrom(
    '0',
    '1',
    '5',
    '00',
    '-1',
    '+5',
    '0x5',
    '5.5',
    '1e3',
    'NaN',
    'Infinity',
    '',
    ' 5',
    '5 5',
    '5, 5',
  ),
  fc.constantFrom('65536', '4294967296', '9007199254740992', '18446744073709551615', '18446744073709551617'),
  fc.nat(100_000).map(String),
)

const { sender, reservation, token } = PLACES
const unknownId = 'abcdefghijkl'
const paths = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('/', '/health', '/reserve', '/name.txt') },
  {
    weight: 6,
    arbitrary: fc.constantFrom(`/${sender}`, `/${sender}/name`, `/${reservation}`, `/${reservation}/a%20b`),
  },
  {
    weight: 6,
    arbitrary: fc.constantFrom(`/uploads/${token}`, `/uploads/${token}/events`, `/uploads/${unknownId}`),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      `/${unknownId}`,
      `/${unknownId}/name`,
      '/a/b/c',
      '//',
      '/uploads',
      '/uploads//events',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '*',
      'http://localhost/health',
      'http://[/',
      '/..',
      '/%',
      '/%ff',
      '/%00',
      '/#',
      '',
    ),
  },
  { weight: 2, arbitrary: encodedNames.map((name) => `/${name}`) },
  { weight: 1, arbitrary: anyBytes.map((text) => `/${text}`) },
)
const queries = fc.oneof(
  { weight: 20, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: numbers.map((value) => `?ttl=${value}`) },
  { weight: 1, arbitrary: fc.constantFrom('?wait=0.05', '?wait=x', '?wait=-1', '?wait=0.1&wait=5') },
  { weight: 1, arbitrary: encodedNames.map((name) => `?filename=${name}`) },
  { weight: 1, arbitrary: fc.constantFrom('?', '??', '?%', '?a=b&__proto__=c', `?${'x'.repeat(3000)}`) },
)
const methods = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('GET', 'POST', 'PUT') },
  { weight: 4, arbitrary: fc.constantFrom('HEAD', 'DELETE', 'OPTIONS', 'PATCH') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('TRACE', 'CONNECT', 'PROPFIND', 'QUERY', 'get', 'BREW', 'PRI', ''),
  },
)
/** Method and path: half of them as the protocol has them, so that what comes behind is met as well. */
const targets = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'POST /',
      'POST /',
      'PUT /name.txt',
      `PUT /uploads/${token}`,
      `PUT /uploads/${token}`,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      `GET /${sender}`,
      `POST /${sender}`,
      `HEAD /${sender}`,
      `GET /${reservation}`,
      'POST /reserve',
      `GET /uploads/${token}/events`,
      `DELETE /uploads/${token}`,
    ),
  },
  { weight: 3, arbitrary: fc.tuple(methods, paths).map((both) => both.join(' ')) },
)
const versions = fc.oneof(
  { weight: 40, arbitrary: fc.constant('HTTP/1.1') },
  { weight: 2, arbitrary: fc.constant('HTTP/1.0') },
  { weight: 1, arbitrary: fc.constantFrom('HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1 ', 'http/1.1', 'ICE/1.0', '') },
)

const field = (name: string, ...values: readonly string[]) =>
  fc.constantFrom(...values).map((value) => `${name}: ${value}`)
const hosts = fc.oneof(
  { weight: 60, arbitrary: fc.constant(['Host: localhost']) },
  {
    weight: 3,
    arbitrary: field(
      'Host',
      '',
      'a b',
      'a/b',
      'a@b',
      '[::1]:80',
      '[',
      'localhost:99999',
      '\x1b[31m',
      '-',
      'a\x9b',
      'x'.repeat(300),
    ).map((line) => [line]),
  },
  { weight: 1, arbitrary: fc.constantFrom([], ['Host: a', 'Host: b']) },
)
/** What any client may say. */
const plainFields = fc.oneof(
  field(
    'Accept',
    '*/*',
    'text/html',
    'application/problem+json',
    'application/x-ndjson',
    'text/event-stream',
    'application/json',
    ',',
  ),
  field('Connection', 'close', 'keep-alive', 'upgrade', 'Transfer-Encoding', 'close, close'),
  field('Upgrade', 'websocket', 'h2c', ''),
  field('Range', 'bytes=0-', 'bytes=5-', 'bytes=-1', 'bytes=', 'x', `bytes=${'0-1,'.repeat(1000)}`),
  field('If-Range', '"x"', 'yesterday'),
  field('Prefer', 'wait=0', 'wait=1e9', 'wait="0"', 'wait', 'respond-async, wait=0'),
  field('TE', 'trailers', 'gzip;q=x', ''),
  field('Trailer', 'Content-Length', 'Ess-Length'),
  field('User-Agent', 'Googlebot/2.1', 'curl/8', '', '\xff'),
  field('Ess-Sealed', 'YWJj', '', 'YWJj, YWJj', 'a\x9b', 'x'.repeat(3072), 'x'.repeat(3076)),
  field('Ess-Bundle', 'tar;entries=3', 'tar; entries=0', 'tar', '\xff', `tar;entries=${'9'.repeat(400)}`),
  field('Sec-Purpose', 'prefetch', 'x'),
  field('Service-Worker', 'script'),
  field('Referer', 'http://localhost/', 'x', '\x9b'),
  field('Origin', 'null', 'https://page.example'),
  field('Via', '1.1 proxy'),
  field('X-Forwarded-For', '1.2.3.4', 'x'),
  field('X-Forwarded-Host', 'evil.example', 'a\x9bb'),
  field('Access-Control-Request-Method', 'PUT', 'x'),
  field('Authorization', 'Bearer x', 'Basic ::', 'Basic'),
  field(
    'Content-Type',
    'text/html',
    'image/svg+xml',
    'a/b; c="',
    'text/plain; charset=\xff',
    ';',
    'multipart/form-data',
  ),
  field('Expect', '100-continue'),
  encodedNames.map((name) => `Content-Disposition: form-data; filename*=UTF-8''${name}`),
)
/** What nobody should, or what a body cannot have. */
const oddFields = fc.oneof(
  field('Expect', '100-continue', '100-Continue', 'a-miracle', ''),
  field('Content-Encoding', 'gzip', 'identity', ''),
  field('Content-Range', 'bytes 0-0/2'),
  names.map((name) => `Content-Disposition: attachment; filename="${name}"`),
  numbers.map((value) => `Content-Length: ${value}`),
  field(
    'Transfer-Encoding',
    'chunked',
    'Chunked',
    'gzip, chunked',
    'chunked, chunked',
    'identity',
    '\x0bchunked',
    '',
  ),
  field('__proto__', 'x'),
  field('X', 'a\r\n b', 'a\rb', 'a\nb', 'a\0b', 'x'.repeat(17_000)),
  anyBytes.map((text) => `X: ${text}`),
  anyBytes,
  fc.nat(1200).map((count) => 'X-Many: y\r\n'.repeat(count).slice(0, -2)),
)
const fields = fc.oneof({ weight: 20, arbitrary: plainFields }, { weight: 1, arbitrary: oddFields })

/** A body, and the lines of the head that go with it. */
interface Body {
  readonly lines: readonly string[]
  readonly bytes: string
}

const data = fc.oneof(
  anyBytes,
  fc.constant('hello'),
  fc.nat(70_000).map((length) => 'x'.repeat(length)),
)

function withLength(content: fc.Arbitrary<Body>): fc.Arbitrary<Body> {
  const off = fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -3, max: 200 }) },
  )
  return fc.tuple(content, off).map(([{ lines, bytes }, more]) => ({
    lines: [...lines, `Content-Length: ${Math.max(0, bytes.length + more)}`],
    bytes,
  }))
}

const chunkEnds = fc.oneof(
  { weight: 12, arbitrary: fc.constant(CRLF) },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '', 'x') },
)
const extensions = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(';a', ';a=b', ';a="b"', '; ', `;${'x'.repeat(300)}`, ';\xff', ';\0'),
  },
)
const oddSize = fc.constantFrom(
  '',
  '+5',
  '-5',
  '0x5',
  ' 5',
  '5 ',
  'g',
  'ffffffffffffffff',
  '10000000000000005',
  '00005',
)
const lastChunks = fc.oneof(
  { weight: 8, arbitrary: fc.constant(`0${CRLF}${CRLF}`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '',
      '0',
      '0\r\n',
      '0\n\n',
      '000\r\nA: b\r\n\r\n',
      '0\r\nA\r\n\r\n',
      '0\r\nContent-Length: 5\r\n\r\n',
    ),
  },
  { weight: 1, arbitrary: fc.nat(2000).map((count) => `0${CRLF}${'A: b\r\n'.repeat(count)}${CRLF}`) },
)

function inChunks(content: fc.Arbitrary<Body>): fc.Arbitrary<Body> {
  const odd = fc.tuple(oddSize, data).map(([size, text]) => `${size}${CRLF}${text}${CRLF}`)
  const cutAt = share
  return fc
    .tuple(content, cutAt, extensions, chunkEnds, lastChunks, fc.option(odd, { freq: 8 }))
    .map(([{ lines, bytes }, cut, extension, end, last, wrong]) => {
      const at = Math.floor(bytes.length * cut)
      const pieces = [bytes.slice(0, at), bytes.slice(at)].filter((piece) => piece !== '')
      const framed = pieces.map((piece) => `${piece.length.toString(16)}${extension}${CRLF}${piece}${end}`)
      return {
        lines: [...lines, 'Transfer-Encoding: chunked'],
        bytes: framed.join('') + (wrong ?? '') + last,
      }
    })
}

const raw: fc.Arbitrary<Body> = data.map((bytes) => ({ lines: [], bytes }))

const parts = fc.oneof(
  {
    weight: 4,
    arbitrary: names.map(
      (name) => `Content-Disposition: form-data; name="f"; filename="${name}"${CRLF}Content-Type: text/html`,
    ),
  },
  { weight: 2, arbitrary: fc.constant('Content-Disposition: form-data; name="field"') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      'Content-Disposition',
      `X: ${'x'.repeat(70_000)}`,
      'X: y\r\n'.repeat(2000),
      'Content-Transfer-Encoding: base64',
    ),
  },
  { weight: 1, arbitrary: anyBytes },
)
const boundaries = fc.oneof(
  { weight: 8, arbitrary: fc.constant('boundary=b') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'boundary="b"',
      'Boundary=b',
      'x="; boundary=b"',
      'boundary=',
      'boundary=c',
      'boundary=c; boundary=b',
      'boundary="b\\"',
      `boundary=${'b'.repeat(71)}`,
    ),
  },
)
const formTypes = fc.oneof(
  { weight: 10, arbitrary: fc.constant('multipart/form-data') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('Multipart/Form-Data', 'multipart/form-data-x', 'multipart/mixed'),
  },
)
const form: fc.Arbitrary<Body> = fc
  .record({
    type: formTypes,
    boundary: boundaries,
    parts: fc.array(fc.tuple(parts, data), { maxLength: 4 }),
    many: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(300) }),
    closing: fc.oneof(
      { weight: 8, arbitrary: fc.constant('--b--\r\n') },
      { weight: 1, arbitrary: fc.constantFrom('', '--b', '--b--', '--b--\r\nepilogue') },
    ),
  })
  .map(({ type, boundary, parts: all, many, closing }) => ({
    lines: [`Content-Type: ${type}; ${boundary}`],
    bytes:
      `--b${CRLF}Content-Disposition: form-data; name="a"${CRLF}${CRLF}b${CRLF}`.repeat(many) +
      all.map(([head, text]) => `--b${CRLF}${head}${CRLF}${CRLF}${text}${CRLF}`).join('') +
      closing,
  }))

/** The beginning of what no client could ever send. */
const endless: fc.Arbitrary<Body> = fc
  .tuple(data, fc.constantFrom('4294967296', '9007199254740991', '9007199254740993', '18446744073709551615'))
  .map(([bytes, length]) => ({ lines: [`Content-Length: ${length}`], bytes }))

const bodies: fc.Arbitrary<Body> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ lines: [], bytes: '' }) },
  { weight: 3, arbitrary: withLength(raw) },
  { weight: 3, arbitrary: inChunks(raw) },
  { weight: 3, arbitrary: withLength(form) },
  { weight: 2, arbitrary: inChunks(form) },
  { weight: 1, arbitrary: endless },
)

const wholeRequests = fc
  .record({
    target: targets,
    query: queries,
    version: versions,
    host: hosts,
    lines: fc.array(fields, { maxLength: 4 }),
    body: bodies,
  })
  .map(({ target, query, version, host, lines, body }) => {
    const head = [`${target}${query} ${version}`, ...host, ...lines, ...body.lines]
    return `${head.join(CRLF)}${CRLF}${CRLF}${body.bytes}`
  })

/** One change of the bytes, at a place between their beginning and their end. */
type Mutation = (bytes: string, at: number) => string

const LINE_BREAKS = ['\r', '\n', CRLF, '\0', '\x80', '\xff', ' ', '\t', ':']
const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.nat(7).map(
    (bit): Mutation =>
      (bytes, at) =>
        splice(bytes, at, 1, String.fromCharCode((bytes.charCodeAt(at) || 0) ^ (1 << bit))),
  ),
  fc.integer({ min: 1, max: 9 }).map(
    (length): Mutation =>
      (bytes, at) =>
        splice(bytes, at, length, ''),
  ),
  fc.integer({ min: 1, max: 60 }).map(
    (length): Mutation =>
      (bytes, at) =>
        splice(bytes, at, 0, bytes.slice(at, at + length)),
  ),
  fc.constantFrom(...LINE_BREAKS).map(
    (text): Mutation =>
      (bytes, at) =>
        splice(bytes, at, 0, text),
  ),
  fc.constant<Mutation>((bytes, at) => bytes.slice(0, at)),
  fc.nat(20).map(
    (seed): Mutation =>
      (bytes) =>
        reorder(bytes, seed),
  ),
  fc.constant<Mutation>((bytes, at) => splice(bytes, at, 0, 'x'.repeat(20_000))),
)

function splice(bytes: string, at: number, length: number, put: string): string {
  return bytes.slice(0, at) + put + bytes.slice(at + length)
}

/** The lines of the head, the request's own among them, turned round. */
function reorder(bytes: string, by: number): string {
  const end = bytes.indexOf(CRLF + CRLF)
  const lines = bytes.slice(0, Math.max(0, end)).split(CRLF)
  const turn = by % lines.length
  return [...lines.slice(turn), ...lines.slice(0, turn)].join(CRLF) + bytes.slice(Math.max(0, end))
}

const where = fc.oneof(
  { weight: 3, arbitrary: share },
  // Most of a request's meaning is in its first bytes.
  { weight: 2, arbitrary: share.map((part) => part / 4) },
)

const tails = fc.oneof(
  { weight: 10, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: wholeRequests },
  { weight: 1, arbitrary: anyBytes },
)

/** Any connection of a hostile client; half of them speak flawlessly, as far as their own words go. */
export const attempts: fc.Arbitrary<Attempt> = fc
  .record({
    request: wholeRequests,
    tail: tails,
    changes: fc.oneof(
      { weight: 1, arbitrary: fc.constant<[Mutation, number][]>([]) },
      { weight: 1, arbitrary: fc.array(fc.tuple(mutations, where), { minLength: 1, maxLength: 4 }) },
    ),
    cuts: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(fc.nat(400), { maxLength: 4 }) },
    ),
    after: fc.oneof(
      { weight: 4, arbitrary: fc.constant<After>('is received') },
      { weight: 3, arbitrary: fc.constant<After>('waits') },
      { weight: 3, arbitrary: fc.constant<After>('closes its half') },
      { weight: 1, arbitrary: fc.constant<After>('resets') },
    ),
  })
  .map(({ request, tail, changes, cuts, after }) => ({
    bytes: changes.reduce(
      (bytes, [change, place]) => change(bytes, Math.floor(bytes.length * place)),
      request + tail,
    ),
    cuts,
    after,
  }))
