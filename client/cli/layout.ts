/** How help is laid out on a terminal: lines, tables and examples, in a number of columns. */

/** Longer lines are hard to read. */
const MAX_WIDTH = 100
/** For output that is no terminal, or one that doesn't say. */
const USUAL_WIDTH = 80
const MIN_WIDTH = 30
/** With less room for the words, they go below their label. */
const MIN_WORDS_WIDTH = 34
/** A column as narrow as this stays even then. */
const MAX_TIGHT_COLUMN = 8
const INDENT = '  '
/** A space at which `wrap` doesn't cut. It prints an ordinary one. */
export const FIXED_SPACE = '\u00a0'

/** The width of help on a terminal with so many columns. */
export function helpWidth(columns: number | undefined): number {
  // A serial line says 0. The last column stays free: some terminals wrap a line that fills it.
  return columns ? Math.max(MIN_WIDTH, Math.min(MAX_WIDTH, columns - 1)) : USUAL_WIDTH
}

/** A label, and the words beside it. */
export type Row = readonly [label: string, words: string]

export function page(parts: readonly (readonly string[])[]): string {
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

export function section(title: string, lines: readonly string[]): readonly string[] {
  return [title, ...lines]
}

/**
 * Labels in a column on the left, their words on the right; below one another where that leaves no room. Tables of the
 * same `peers` have columns of one width.
 */
export function table(rows: readonly Row[], width: number, peers: readonly Row[] = rows): string[] {
  const column = INDENT.length + Math.max(...peers.map(([label]) => label.length)) + 2
  const isTight = width - column < MIN_WORDS_WIDTH && column > MAX_TIGHT_COLUMN
  return rows.flatMap(([label, words]) => {
    if (isTight) return [INDENT + label, ...indented(words, INDENT.length * 3, width)]
    const [first = '', ...rest] = indented(words, column, width)
    return [(INDENT + label).padEnd(column) + first.slice(column), ...rest]
  })
}

/** Lines to type, which never wrap: half a command is another command. */
export function examples(rows: readonly Row[], width: number): string[] {
  const column = INDENT.length + Math.max(...rows.map(([line]) => line.length)) + 2
  const isTight = rows.some(([, purpose]) => column + purpose.length > width)
  return rows.flatMap(([line, purpose]) =>
    isTight ? [`${INDENT}# ${purpose}`, INDENT + line] : [`${(INDENT + line).padEnd(column)}${purpose}`],
  )
}

function indented(words: string, column: number, width: number): string[] {
  return wrap(words, width - column).map((line) => ' '.repeat(column) + line)
}

/** Cuts a paragraph into lines at its spaces. A longer word gets a line of its own. */
export function wrap(paragraph: string, width: number): string[] {
  const lines: string[] = []
  const words = paragraph.split(' ')
  for (const word of words.flatMap((one) => (one.length > width ? one.split(FIXED_SPACE) : [one]))) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.map((line) => line.replaceAll(FIXED_SPACE, ' ').trimEnd())
}
