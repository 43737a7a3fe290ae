// Usage: ess-options.mjs [--check] [PAGE]
// Rewrites the table of the options of `ess` in PAGE (default: docs/cli.md) from client/cli/options.ts, as it was built.
// With --check it writes nothing, and exits with 1 where the table is not current.
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { FLAGS, OPTIONS } from '../dist/client/cli/options.js'

/** How many commands have options. */
const EVERY = Math.max(...Object.values(OPTIONS).map(({ of }) => of.length))

const HEAD = ['| `ess` | of | variable | default | |', '| --- | --- | --- | --- | --- |']

/** The rows of the table. A secret has no flag, and so no row: another one tells of its variable. */
function optionRows() {
  return FLAGS.map(({ flag, of, short, variable, fallback, words }) => {
    const flags = [short && `-${short}`, `--${flag}`].filter(Boolean).map(asCode).join(', ')
    return [
      flags,
      of.length === EVERY ? 'all' : of.map(asCode).join(', '),
      variable ? asCode(variable) : '',
      fallback ?? '',
      words,
    ]
  }).map((cells) => `|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell} `)).join('|')}|`)
}

function asCode(text) {
  return `\`${text}\``
}

/** The page with `rows` in place of those under the table's head. */
function withRows(page, rows) {
  const lines = page.split('\n')
  const start = lines.indexOf(HEAD[0])
  if (start === -1) throw new Error(`Expected the page to have the line ${HEAD[0]}`)
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  return [...lines.slice(0, start), ...HEAD, ...rows, ...lines.slice(end)].join('\n')
}

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [path = new URL('../docs/cli.md', import.meta.url)] = positionals
const page = await readFile(path, 'utf8')
const current = withRows(page, optionRows())
if (values.check) process.exitCode = current === page ? 0 : 1
else if (current !== page) await writeFile(path, current)
