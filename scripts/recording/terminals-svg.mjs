const CHARACTER_WIDTH = 7.8
const LINE_HEIGHT = 19
const FONT_SIZE = 13
const PADDING = 14
const TITLE_HEIGHT = 30
const GAP = 14
/** How long the last frame stays before the film begins again, and how often it is shown. */
const HOLD_MS = 4000
const SHOWINGS = 3

/**
 * Draws terminals one below the other, as an SVG of text. Each row of a terminal is a strip of all that ever stood
 * there, seen through a window of one line; an animation moves the strip. Without animation, as for readers who want
 * less motion, each strip shows what stood there last.
 */
export function drawTerminals(terminals) {
  const [{ columns }] = terminals
  const lastsMs = Math.max(...terminals.map((terminal) => terminal.lastsMs)) + HOLD_MS
  const width = Math.ceil(columns * CHARACTER_WIDTH) + 2 * PADDING
  const styles = []
  let top = 1
  const boxes = terminals.map((terminal, index) => {
    const box = drawTerminal(terminal, { index, top, width, lastsMs, styles })
    top += box.height + GAP
    return box.svg
  })
  const height = top - GAP + 1
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width + 2} ${height}" width="${width + 2}" height="${height}" role="img" aria-labelledby="title desc">
<title id="title">A file sent from one terminal and received in another</title>
<desc id="desc">${escaped(describe(terminals))}</desc>
<style>
${STYLE}
@media (prefers-reduced-motion: no-preference) {
${styles.join('\n')}
}
</style>
<clipPath id="line"><rect width="${width - 2 * PADDING}" height="${LINE_HEIGHT}"/></clipPath>
${boxes.join('\n')}
</svg>
`
}

/** Light and dark have the same eight colours, each with a contrast of at least 4.5 to its ground. */
const STYLE = `svg { --ground: #f6f8fa; --bar: #eaeef2; --edge: #d0d7de; --text: #1f2328; --dim: #59636e; --c1: #a40e26; --c2: #116329; --c3: #7d4e00; --c4: #0550ae; --c5: #6639ba; --c6: #1b6375; color-scheme: light dark }
@media (prefers-color-scheme: dark) { svg { --ground: #0d1117; --bar: #161b22; --edge: #30363d; --text: #e6edf3; --dim: #9198a1; --c1: #ff7b72; --c2: #56d364; --c3: #e3b341; --c4: #79c0ff; --c5: #d2a8ff; --c6: #56d4dd } }
text { font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--text); white-space: pre }
.ground { fill: var(--ground); stroke: var(--edge) } .bar { fill: var(--bar); stroke: var(--edge) } .name { fill: var(--dim); text-anchor: middle }
.b { font-weight: bold } .d { fill: var(--dim) } ${[1, 2, 3, 4, 5, 6].map((n) => `.c${n} { fill: var(--c${n}) }`).join(' ')}`

function drawTerminal({ name, frames }, { index, top, width, lastsMs, styles }) {
  const count = frames[0].rows.length
  const height = TITLE_HEIGHT + count * LINE_HEIGHT + PADDING
  const rows = Array.from({ length: count }, (_, row) => {
    const y = top + TITLE_HEIGHT + PADDING / 2 + row * LINE_HEIGHT
    return drawRow(`t${index}r${row}`, historyOf(frames, row), { y, lastsMs, styles })
  })
  const svg = [
    `<rect class="ground" x="1" y="${top}" width="${width}" height="${height}" rx="8"/>`,
    `<path class="bar" d="M1 ${top + TITLE_HEIGHT} v-${TITLE_HEIGHT - 8} q0 -8 8 -8 h${width - 16} q8 0 8 8 v${TITLE_HEIGHT - 8} z"/>`,
    `<text class="name" x="${1 + width / 2}" y="${top + 20}">${escaped(name)}</text>`,
    ...rows.filter((row) => row !== ''),
  ]
  return { height, svg: svg.join('\n') }
}

/** What stood in a row, without repetitions: from when on, and what. */
function historyOf(frames, row) {
  const all = frames.map(({ atMs, rows }) => ({ atMs, line: rows[row].trimEnd() }))
  return all.filter(({ line }, index) => index === 0 || line !== all[index - 1].line)
}

function drawRow(id, history, { y, lastsMs, styles }) {
  const lines = [...new Set(history.map(({ line }) => line))]
  const shiftOf = (line) => -lines.indexOf(line) * LINE_HEIGHT
  const last = history.at(-1).line
  if (lines.length === 1 && last === '') return ''
  if (lines.length > 1) {
    const steps = history.map(({ atMs, line }, index) => {
      const percent = index === 0 ? 0 : Number(((100 * atMs) / lastsMs).toFixed(2))
      return `${percent}%{transform:translateY(${shiftOf(line)}px)}`
    })
    styles.push(`@keyframes ${id}{${steps.join('')}100%{transform:translateY(${shiftOf(last)}px)}}`)
    styles.push(`.${id}{animation:${id} ${lastsMs}ms step-end ${SHOWINGS}}`)
  }
  const texts = lines.map((line, index) => {
    const { length } = [...textOfRow(line)]
    const fit = length === 0 ? '' : ` textLength="${Number((length * CHARACTER_WIDTH).toFixed(1))}"`
    return length === 0 ? '' : `<text y="${index * LINE_HEIGHT + FONT_SIZE}"${fit}>${spans(line)}</text>`
  })
  const strip = `<g class="${id}" transform="translate(0 ${shiftOf(last)})">${texts.join('')}</g>`
  return `<g transform="translate(${1 + PADDING} ${y})" clip-path="url(#line)">${strip}</g>`
}

/** A row without its escape sequences. */
export function textOfRow(line) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with ESC.
  return line.replace(/\x1b\[[\d;]*m/g, '').trimEnd()
}

/** A row as text with colours: each escape sequence of tmux's says what holds from there on. */
function spans(line) {
  let style = { colour: '', bold: false, dim: false }
  const pieces = line.split('\x1b[')
  return pieces
    .map((piece, index) => {
      const [, codes, text] = index === 0 ? ['', '', piece] : /^([\d;]*)m(.*)$/s.exec(piece)
      // A colour of 256 (38;5;N, 48;5;N) stays the text's own.
      if (index > 0)
        style = codes
          .replace(/[34]8;5;\d+/g, '39')
          .split(';')
          .reduce(styleAfter, style)
      const classes = [style.colour, style.bold && 'b', style.dim && 'd'].filter(Boolean).join(' ')
      if (text === '') return ''
      return classes === '' ? escaped(text) : `<tspan class="${classes}">${escaped(text)}</tspan>`
    })
    .join('')
}

function styleAfter(style, code) {
  const number = Number(code)
  if (number === 0) return { colour: '', bold: false, dim: false }
  if (number === 1) return { ...style, bold: true }
  if (number === 2) return { ...style, dim: true }
  if (number === 22) return { ...style, bold: false, dim: false }
  if (number === 39) return { ...style, colour: '' }
  if (number >= 31 && number <= 36) return { ...style, colour: `c${number - 30}` }
  if (number === 90) return { ...style, colour: 'd' }
  if (number >= 91 && number <= 96) return { ...style, colour: `c${number - 90}` }
  return style
}

/** For a reader who hears the picture: what each terminal shows in the end. */
function describe(terminals) {
  return terminals
    .map(({ name, frames }) => {
      const lines = frames
        .at(-1)
        .rows.map(textOfRow)
        .filter((line) => !/^\$?$/.test(line))
      return `The ${name} shows: ${lines
        .map((line) => line.trim())
        .join('; ')
        .replace(/\.?$/, '.')}`
    })
    .join(' ')
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
