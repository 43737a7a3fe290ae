import { readdir, readFile } from 'node:fs/promises'
import { transform } from 'esbuild'
import { parseAst } from 'rollup/parseAst'
import { describe, expect, test } from 'vitest'
import { COMMON } from '../shared/page-words.js'
import { RECEIVING } from '../shared/page-words-receiving.js'
import { SENDING } from '../shared/page-words-sending.js'
import { SHELLS } from '../shared/page-words-shells.js'

/** All that the pages say. */
const TABLES = { COMMON, SHELLS, SENDING, RECEIVING }

/** What makes the pages. */
const SOURCES = [
  ...(await namesIn('web')),
  ...[...(await namesIn('server/answer'))].filter((name) => /\/(?:\w+-)?page\.ts$|\/how-to\.ts$/.test(name)),
]

async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(new URL(`../${folder}`, import.meta.url), { recursive: true })
  return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`)
}

async function sourceOf(name: string): Promise<string> {
  return await readFile(new URL(`../${name}`, import.meta.url), 'utf8')
}

describe('the tables of words', () => {
  test('have no word that nothing uses, and each is used by its whole name', async () => {
    const sources = await Promise.all(SOURCES.map(sourceOf))
    const code = sources.join('\n').replaceAll(/^import .*$/gm, '')
    const named = [...code.matchAll(/\b(COMMON|SHELLS|SENDING|RECEIVING)\b(?:\.(\w+))?/g)]
    const used = new Set(named.map(([whole]) => whole))
    const all = Object.entries(TABLES).flatMap(([table, words]) =>
      Object.keys(words).map((key) => `${table}.${key}`),
    )
    expect([...used].sort()).toEqual(all.sort())
  })

  test('say nothing twice', () => {
    const said = Object.values(TABLES).flatMap((words) => Object.values<unknown>(words))
    const sentences = said.filter((words) => typeof words === 'string' && words !== COMMON_WORD)
    expect(sentences.filter((words, index) => sentences.indexOf(words) !== index)).toEqual([])
  })
})

/** A bar and a heading: a translation may need two words. */
const COMMON_WORD = RECEIVING.done

/** A node of a program's tree (ESTree). */
type Node = Readonly<Record<string, unknown>> & { readonly type: string }

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}

/** What only the author of a bug reads, or a person never. */
const UNREAD = new Set(['Error', 'DOMException', 'damaged'])

/** The texts in a program: its strings, and the parts of its templates. Without those of bugs. */
function* textsIn(node: Node): Generator<string> {
  const { type, callee } = node
  if (/^(?:New|Call)Expression$/.test(type) && isNode(callee) && UNREAD.has(String(callee['name']))) return
  if (type.startsWith('Import')) return
  if (type === 'Literal' && typeof node['value'] === 'string') yield node['value']
  if (type === 'TemplateLiteral') yield templateText(node)
  for (const child of Object.values(node).flat()) if (isNode(child)) yield* textsIn(child)
}

/** The text of a template, with a mark for each of its expressions. */
function templateText({ quasis }: Node): string {
  const parts = quasis as readonly { readonly value: { readonly cooked: string } }[]
  return parts.map(({ value }) => value.cooked).join('\u0000')
}

/** What is in HTML, beside its tags. */
function withoutTags(text: string): string {
  return text.replaceAll(/<[^<>]*>/g, '\n')
}

/** Two words beside one another, or one with a capital letter that stands alone between tags. */
const SENTENCE = /[\p{L}’']{2,}[,:;]? [\p{L}’']{2,}|^[A-Z][a-z]+[.…:]?$/mu

/** What looks like a sentence, and is for programs. */
const FOR_PROGRAMS: readonly RegExp[] = [
  // Commands, which no translation changes.
  /\b(?:curl|ess|npx|age) |file\.iso|TOKEN ess$/,
  // Styles, policies, classes, fields, names of errors and of keys.
  /[{}]|'(?:none|self)'|^button quiet$|^AGE-|Error$|; charset=|^inline; |^(?:Content|Cache|X|Referrer)-/,
  // A kind of what is dragged over the page.
  /^Files$/,
  // A value in a union.
  /^not (?:here|read)$/,
]

test('no sentence is baked into the code of the pages', async () => {
  const found = await Promise.all(
    SOURCES.map(async (name) => {
      const { code } = await transform(await sourceOf(name), { loader: 'ts' })
      return [...textsIn(parseAst(code) as unknown as Node)]
        .filter((text) => SENTENCE.test(withoutTags(text)))
        .filter((text) => !FOR_PROGRAMS.some((pattern) => pattern.test(text)))
        .map((text) => `${name}: ${text}`)
    }),
  )
  expect(found.flat()).toEqual([])
})

test('a sentence would be found, in a string, a template and a tag', () => {
  const lines = [
    "say('This is wrong')",
    `\`\${count} files are wrong\``,
    '`<h1>Wrong</h1>`',
    "throw new Error('a bug of ours')",
  ]
  const texts = lines.flatMap((line) => [...textsIn(parseAst(line) as unknown as Node)])
  expect(texts.filter((text) => SENTENCE.test(withoutTags(text)))).toHaveLength(3)
})
