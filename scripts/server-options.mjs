// Usage: server-options.mjs [--check]
// Writes the rows of the server's options into docs/server.md and docs/embedding.md, between two comments, from the built
// table of options and the doc comments of `ServiceOptions`. With --check it writes nothing, and exits with 1 if a page
// is not current. The pages are those of the current folder.

import { readFileSync, writeFileSync } from 'node:fs'
import { choicesOf, flagOf, namesOf, variableOf } from '../dist/server/broker/option-names.js'
import { OPTIONS } from '../dist/server/broker/option-table.js'
import { shownDefault } from '../dist/server/cli/flag-values.js'

const TABLES = {
  'docs/server.md': ['ess-server', serverTable],
  'docs/embedding.md': ['createService', libraryTable],
}

const isCheck = process.argv.includes('--check')
for (const [path, [name, table]] of Object.entries(TABLES)) {
  const page = readFileSync(path, 'utf8')
  const current = withTable(path, page, name, table())
  if (current === page) continue
  if (isCheck) {
    console.log(`${path}: its options are not current; npm run docs:server writes them`)
    process.exitCode = 1
  } else {
    writeFileSync(path, current)
    console.log(`${path}: written`)
  }
}

function withTable(path, page, name, { head, rows }) {
  const begin = `<!-- options of ${name}, written by npm run docs:server -->\n`
  const end = '<!-- end of options -->\n'
  const [before, rest] = page.split(begin)
  const after = rest?.slice(rest.indexOf(end))
  if (!after?.startsWith(end))
    throw new Error(`${path} has no place for the options of ${name}: ${begin}${end}`)
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `|${cells.map(padded).join('|')}|\n`)
  return `${before}${begin}${lines.join('')}${after}`
}

function serverTable() {
  const rows = namesOf('command', 'both').map((name) => {
    const { kind, words, otherwise = '' } = OPTIONS[name]
    const flag = flagOf(name)
    const choices = choicesOf(kind)
    return [
      code(`--${flag}`),
      code(variableOf(flag)),
      String(shownDefault(OPTIONS[name]) ?? otherwise),
      choices === undefined ? words : `${words} (${choices.map(code).join(', ')})`,
    ]
  })
  return { head: ['`ess-server`', 'variable', 'default', ''], rows }
}

function libraryTable() {
  const source = readFileSync(new URL('../server/broker/service-options.ts', import.meta.url), 'utf8')
  const [, members = ''] = /^export interface ServiceOptions \{\n(.*?)^\}/ms.exec(source) ?? []
  const described = members.matchAll(/^ {2}\/\*\*\n(.*?)^ {3}\*\/\n {2}readonly (\w+)\?: ([^\n]*)$/gms)
  const documented = new Map([...described].map(([, doc, name, type]) => [name, { doc, type }]))
  const rows = namesOf('library', 'both').map((name) => {
    const { doc, type } = documented.get(name) ?? {}
    if (doc === undefined) throw new Error(`ServiceOptions says nothing about ${name}`)
    const { default: value, otherwise = 'none' } = OPTIONS[name]
    return [
      code(name),
      code(typeInWords(type)),
      unitOf(OPTIONS[name]),
      value === undefined ? otherwise : code(value),
      wordsIn(doc),
    ]
  })
  return { head: ['option', 'type', 'unit', 'default', ''], rows }
}

/** The first paragraph of a doc comment, as a cell: without the last period, and with links from page to page. */
function wordsIn(doc) {
  const [paragraph = ''] = doc.replace(/^ +\* ?/gm, '').split('\n\n')
  return paragraph
    .trim()
    .replaceAll('\n', ' ')
    .replace(/\.$/, '')
    .replace(/\bdocs\/embedding\.md(#[\w-]+)/g, '[below]($1)')
    .replace(/\bdocs\/([a-z]+)\.md/g, '[$1]($1.md)')
}

/** A type for people: without `readonly` members and the types of parameters. */
function typeInWords(type) {
  return type
    .replace(/readonly (?=\w+:)/g, '')
    .replaceAll('; ', ', ')
    .replace(/\(([^)]*)\) =>/, (_whole, parameters) => `(${parameters.replace(/: [^,]+/g, '')}) =>`)
    .replaceAll('|', '\\|')
}

function unitOf({ kind, unit = '' }) {
  return { seconds: 'seconds', size: 'bytes' }[kind] ?? unit
}

function padded(cell) {
  return cell === '' ? ' ' : ` ${cell} `
}

function code(text) {
  return `\`${text}\``
}
