// Usage: doctor-causes.mjs [--check] [PAGE]
// Rewrites the two tables of PAGE (default: docs/doctor.md) from client/doctor, as it was built: the checks, and the
// causes with what mends them. With --check it writes nothing, and exits with 1 where a table is not current.
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { CAUSES } from '../dist/client/doctor/causes.js'
import { CHECKS } from '../dist/client/doctor/table.js'

const TABLES = [
  {
    head: ['| check | asks |', '| --- | --- |'],
    rows: CHECKS.map(({ name, asks }) => [name, asks]),
  },
  {
    head: ['| cause | what is wrong | what mends it |', '| --- | --- | --- |'],
    rows: Object.entries(CAUSES).map(([name, { words, mend }]) => [`\`${name}\``, words, remedies(mend)]),
  },
]

function remedies(mend) {
  const base = 'https://send.example.org'
  return Object.entries(mend)
    .map(([place, line]) => [place, line.replaceAll('{base}', base)])
    .map(([place, line]) => (place === 'you' ? line : `${place}: \`${line}\``))
    .join('<br>')
}

/** The page with `rows` in place of those under the table's head. */
function withRows(page, { head, rows }) {
  const lines = page.split('\n')
  const start = lines.indexOf(head[0])
  if (start === -1) throw new Error(`Expected the page to have the line ${head[0]}`)
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  const written = rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
  return [...lines.slice(0, start), ...head, ...written, ...lines.slice(end)].join('\n')
}

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [path = new URL('../docs/doctor.md', import.meta.url)] = positionals
const page = await readFile(path, 'utf8')
const current = TABLES.reduce(withRows, page)
if (values.check) process.exitCode = current === page ? 0 : 1
else if (current !== page) await writeFile(path, current)
