import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { fencedBlocks, readPage } from './helpers/markdown.js'

/*
 * English that a reader has to read twice often has one of these words. The list is short on purpose: each of them
 * was in our texts, and each has a plain substitute. Where one is right all the same, the line stands in ALLOWED.
 */
const WORDS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bwho(?:m|so)?ever\b/i, 'name them: the sender, a client, anyone who has the link'],
  [/\b(?:nobody|somebody|anybody|everybody)\b/i, 'name them: no receiver, a stranger, all clients'],
  [/\bof one client\b/i, 'per client'],
  [/\bgo(?:es)? before\b/i, 'overrides'],
  [
    /(?:^|[.:;|] +)What (?:is|was|are|were|has|had|comes?|differs|passes|it|the|a|no)\b(?![^.|]*\?)/m,
    'name the thing that does it',
  ],
  [/\bis (?:not )?to be (?:had|got|done)\b/i, 'subject, verb, object'],
  [/\bhas to be\b/i, 'must be'],
  [/\bwill do\b/i, 'works, or is enough'],
  [/\bthan one (?:thinks|would think)\b/i, 'leave it out'],
  [/\bby itself alone\b/i, 'alone'],
]

/** In code alone: a bug may say what it expected, because only its author reads that. */
const IN_MESSAGES: typeof WORDS = [
  [/\bexpected (?!failure)/i, 'what happened, then what to do next'],
  // A number that may be 1. A constant is known not to be.
  [
    /\$\{(?![A-Z_]+\})[^{}]*\} (?:bytes|characters|clients|connections|entries|files|headers|items|links|recipients|requests|sockets|times|tokens|transfers|uploads)\b/,
    'formatCount',
  ],
]

/** What people read: pages, and the code of which they read the messages. */
const TEXTS = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  ...(await namesIn('docs', /\.md$/)),
  ...(await namesIn('shared', /\.ts$/)),
  ...(await namesIn('web', /\.ts$/)),
  ...(await namesIn('server', /\.ts$/)),
  ...(await namesIn('client', /\.ts$/)),
]

/** Texts that still have such words. Take a text off the list when you rewrite it. */
const UNREAD: readonly string[] = [
  'docs/deploying.md',
  'docs/errors.md',
  'docs/server.md',
  'shared/problems.ts',
  'server/request/visitor.ts',
  'server/relay/length-trailer.ts',
  'server/cli/run.ts',
  'server/cli/settings.ts',
  'server/broker/download-answer.ts',
  'server/broker/effects.ts',
  'server/broker/option-table.ts',
  'client/node/errno-words.ts',
]

/** Lines that have such a word for a good reason, each with the words around it. */
const ALLOWED: readonly string[] = [
  // A line of the protocol.
  `# delivered: \${event.bytes} bytes`,
  // Two sizes that read alike are never of one byte.
  `\${size} bytes ,  \${limit} bytes`,
  `\${bytes} of \${total} bytes`,
]

/** Each line with such a word, and the advice. */
function complaints(where: string, text: string, words = WORDS): string[] {
  return text.split('\n').flatMap((line, index) =>
    words.flatMap(([pattern, instead]) => {
      const found = pattern.exec(line)
      if (found === null || ALLOWED.some((allowed) => line.includes(allowed))) return []
      const around = line.slice(Math.max(0, found.index - 30), found.index + found[0].length + 30)
      return [`${where}:${index + 1}: "…${around}…" (instead: ${instead})`]
    }),
  )
}

async function namesIn(folder: string, pattern: RegExp): Promise<string[]> {
  const names = await readdir(new URL(`../${folder}`, import.meta.url), { recursive: true })
  return names.filter((name) => pattern.test(name)).map((name) => `${folder}/${name}`)
}

/** A page with empty lines in place of its blocks, which are also other programs' words. */
function prose(page: string): string {
  const lines = page.split('\n')
  for (const { line, text } of fencedBlocks(page)) lines.fill('', line - 1, line + text.split('\n').length)
  return lines.join('\n')
}

/** The texts in a file of code, each at the line where it begins: every literal that has a space. */
function literals(code: string): string {
  const withoutComments = code.replace(/(?<=^|\s)(?:\/\*.*?\*\/|\/\/[^\n]*)/gs, (comment) =>
    comment.replace(/[^\n]/g, ''),
  )
  return withoutComments
    .split('\n')
    .map((line) =>
      [...line.matchAll(/'([^'\n]* [^'\n]*)'|"([^"\n]* [^"\n]*)"|`([^`\n]* [^`\n]*)/g)]
        .map(([text]) => text.slice(1))
        .join(' '),
    )
    .join('\n')
}

test.each(TEXTS.filter((path) => !UNREAD.includes(path)))(
  '%s names the things that it means',
  async (path) => {
    const text = await readPage(path)
    expect(complaints(path, path.endsWith('.md') ? prose(text) : literals(text))).toEqual([])
  },
)

test.each(TEXTS.filter((path) => path.endsWith('.ts')))(
  'the messages in %s say what happened',
  async (path) => {
    const code = (await readPage(path)).replace(/new (?:Range|Type)?Error\([^\n]*/g, '')
    expect(complaints(path, literals(code), IN_MESSAGES)).toEqual([])
  },
)

test('each of those words is found', () => {
  const sentences = [
    'For whoever writes another client',
    'Nothing leaves the disk before somebody wants it',
    'Of these, of one client: an address',
    'Flags go before variables',
    'What the relay costs in CPU',
    'The rest is fine. What is refused: HTTP/1.0',
    'The binary was missing, or is not to be had',
    'The file has to be the last part',
    'A bare LF will do',
  ]
  for (const sentence of sentences) expect(complaints('here', sentence), sentence).toHaveLength(1)
  const code = "// For whoever reads it\nthrow new Error('Nobody sent anything')\n"
  expect(complaints('code.ts', literals(code))).toEqual([expect.stringMatching(/^code\.ts:2: "…Nobody /)])
  const wrong = "throw usage('Expected an id, got nothing')"
  expect(complaints('code.ts', literals(wrong), IN_MESSAGES)).toHaveLength(1)
  const plural = `full(\`It takes \${maxSockets} transfers, and at most \${MAX_BYTES} bytes.\`)`
  expect(complaints('code.ts', literals(plural), IN_MESSAGES)).toHaveLength(1)
  expect(complaints('here', 'What is an ESS server? It stores nothing.')).toEqual([])
})
