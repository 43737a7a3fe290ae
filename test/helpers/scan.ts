import jsQR from 'jsqr'

/** Pixels in the width of a character, and in half its height: a terminal's characters are twice as high as wide. */
const SCALE = 6
const BLACK = 0
const WHITE = 255

const ESC = '\u001b'
const SGR_OR_CHARACTER = new RegExp(`${ESC}\\[([\\d;]*)m|(.)`, 'gsu')

/** What fills the upper and the lower half of a character. */
const BLOCKS: Readonly<Record<string, readonly [top: boolean, bottom: boolean]>> = {
  '█': [true, true],
  '▀': [true, false],
  '▄': [false, true],
}

/** How a terminal without colours of its own draws. */
const THEMES = {
  dark: { ink: WHITE, paper: BLACK },
  light: { ink: BLACK, paper: WHITE },
} as const

export type Theme = keyof typeof THEMES

/**
 * Reads the QR code on a screen, as a camera sees it: `screen` is what `tmux capture-pane -e` prints, with its colours.
 * Undefined if there is none to read.
 */
export function scan(screen: string, theme: Theme, isInverted = false): string | undefined {
  const rows = pixelRows(screen, THEMES[theme])
  const width = Math.max(...rows.map((row) => row.length))
  const { paper } = THEMES[theme]
  const image = new Uint8ClampedArray(4 * SCALE * width * SCALE * rows.length).fill(WHITE)
  for (let y = 0; y < SCALE * rows.length; y++)
    for (let x = 0; x < SCALE * width; x++) {
      const shade = rows[Math.floor(y / SCALE)]?.[Math.floor(x / SCALE)] ?? paper
      image.fill(shade, 4 * (y * SCALE * width + x), 4 * (y * SCALE * width + x) + 3)
    }
  const inversionAttempts = isInverted ? 'invertFirst' : 'dontInvert'
  // The package is CommonJS: TypeScript sees the function only there.
  return jsQR.default(image, SCALE * width, SCALE * rows.length, { inversionAttempts })?.data
}

/** The rows of pixels, two to a line. A colour lasts until another one is set. */
function pixelRows(screen: string, { ink, paper }: (typeof THEMES)[Theme]): readonly number[][] {
  const rows: number[][] = []
  let [front, back]: [number, number] = [ink, paper]
  for (const line of screen.split('\n')) {
    const [top, bottom]: [number[], number[]] = [[], []]
    for (const [, sgr, character = ''] of line.matchAll(SGR_OR_CHARACTER)) {
      if (sgr === undefined) {
        const [isTop, isBottom] = BLOCKS[character] ?? [false, false]
        top.push(isTop ? front : back)
        bottom.push(isBottom ? front : back)
      } else {
        front = shadeIn(sgr, '38') ?? (isDefault(sgr, '39') ? ink : front)
        back = shadeIn(sgr, '48') ?? (isDefault(sgr, '49') ? paper : back)
      }
    }
    rows.push(top, bottom)
  }
  return rows
}

/** The black or white that a sequence sets. */
function shadeIn(sgr: string, code: string): number | undefined {
  const [, color] = new RegExp(`${code};5;(16|231)\\b`).exec(sgr) ?? []
  return color === undefined ? undefined : color === '16' ? BLACK : WHITE
}

/** True if a sequence takes back what was set; `code` does that for it alone. */
function isDefault(sgr: string, code: string): boolean {
  return sgr.split(';').some((part) => part === code || part === '0' || part === '')
}
