import { readFile } from 'node:fs/promises'

/** A fenced block of a page. */
export interface Block {
  /** The word after the fence; empty when there is none. */
  readonly language: string
  /** All that stands after the fence, where the first word alone is what a reader's page knows. */
  readonly info: string
  readonly text: string
  /** The line of the fence, from 1. */
  readonly line: number
}

/** The text of a page, by its path from the project's root. */
export function readPage(path: string): Promise<string> {
  return readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
}

/** The fenced blocks, in order. Throws where a fence is not closed. */
export function fencedBlocks(page: string): Block[] {
  const blocks: Block[] = []
  let open: { info: string; line: number; lines: string[] } | undefined
  for (const [index, line] of page.split('\n').entries()) {
    const fence = /^\s*(?:```|~~~)\s*(.*)$/.exec(line)
    if (fence === null) open?.lines.push(line)
    else if (open === undefined) open = { info: fence[1]?.trim() ?? '', line: index + 1, lines: [] }
    else {
      const [language = ''] = open.info.split(' ')
      blocks.push({ language, info: open.info, line: open.line, text: `${open.lines.join('\n')}\n` })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`The fence in line ${open.line} is not closed`)
  return blocks
}

/** A table: the cells of its head, and of each row below. */
export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** The tables, in order; a `\|` in a cell is a `|`. */
export function tables(page: string): Table[] {
  const found = page.match(/(?:^\|.*\|\n)+/gm) ?? []
  return found.map((text) => {
    const [head = [], , ...rows] = text.trimEnd().split('\n').map(cells)
    return { head, rows }
  })
}

/** The only table whose head begins with this cell. */
export function tableOf(page: string, firstCell: string): Table {
  const [table, ...others] = tables(page).filter(({ head }) => head[0] === firstCell)
  if (table === undefined || others.length > 0)
    throw new Error(`Expected one table that begins with "${firstCell}", got ${table ? 'several' : 'none'}`)
  return table
}

/** What stands in backticks, without them; throws where there is anything else. */
export function code(cell: string): string {
  const match = /^`([^`]+)`$/.exec(cell)
  if (match?.[1] === undefined) throw new Error(`Expected a cell in backticks, got ${JSON.stringify(cell)}`)
  return match[1]
}

function cells(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
}
