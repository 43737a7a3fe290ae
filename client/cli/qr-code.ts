import { encode } from 'uqr'
import { wrap } from './layout.js'

/** White modules around the code. Four are the standard's (ISO/IEC 18004); scanners are content with two. */
const QUIET_ZONES = [4, 2] as const
/** The fixed black and white of 256 colours. A theme may give the first sixteen any look. */
const BLACK_ON_WHITE = '\u001b[38;5;16;48;5;231m'
const RESET = '\u001b[0m'

/** How the terminal is that shows a code. */
export interface Surface {
  /** Undefined where they are not known. */
  readonly columns: number | undefined
  readonly rows: number | undefined
  readonly isColored: boolean
}

/**
 * A QR code of `text`, two modules to a character: black on white, whatever the theme. Without colours the white modules
 * are drawn, which is right on a dark terminal; on a light one the code is inverted, and scanners read that too.
 */
export function qrCode(text: string, { columns, rows: height, isColored }: Surface): string {
  const widths = QUIET_ZONES.map((border) => encode(text, { border, boostEcc: true }).data)
  const fitting = widths.filter(({ length }) => length <= (columns || Number.POSITIVE_INFINITY))
  // The last row is for the line that moves. A person can make a window higher, or scroll back.
  const [modules] = [
    ...fitting.filter(({ length }) => Math.ceil(length / 2) < (height || Number.POSITIVE_INFINITY)),
    ...fitting.slice(-1),
  ]
  if (modules === undefined)
    return narrowWords(
      `The QR code needs ${widths.at(-1)?.length} columns, and this terminal has ${columns}. Make the window wider, or use the link.`,
      columns,
    )
  const rows = modules.filter((_row, index) => index % 2 === 0)
  const lines = rows.map((top, index) => {
    const bottom = modules[2 * index + 1]
    return top.map((isBlack, column) => half(isBlack, bottom?.[column] ?? false, isColored)).join('')
  })
  return lines.map((line) => (isColored ? `${BLACK_ON_WHITE}${line}${RESET}\n` : `${line}\n`)).join('')
}

function narrowWords(words: string, columns: number | undefined): string {
  return `${wrap(words, Math.max(20, (columns ?? 80) - 1)).join('\n')}\n`
}

/** Two modules, one above the other. What is drawn is black with colours, and white without. */
function half(isTopBlack: boolean, isBottomBlack: boolean, isColored: boolean): string {
  const isTopDrawn = isTopBlack === isColored
  const isBottomDrawn = isBottomBlack === isColored
  if (isTopDrawn) return isBottomDrawn ? '█' : '▀'
  return isBottomDrawn ? '▄' : ' '
}
