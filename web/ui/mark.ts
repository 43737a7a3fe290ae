const SVG = 'http://www.w3.org/2000/svg'

/** How a transfer ended, as a sign: a tick, a question, a cross, a bar. */
const SHAPES = {
  delivered: 'M4 12.5l5.5 5.5L20 6.5',
  unconfirmed: 'M12 4v10m0 4.5v.5',
  failed: 'M6 6l12 12M18 6L6 18',
  cancelled: 'M5 12h14',
} as const

export type Ending = keyof typeof SHAPES

/** The sign of an ending. Its heading says the same, so screen readers pass over it. */
export function mark(ending: Ending): SVGElement {
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', SHAPES[ending])
  const svg = document.createElementNS(SVG, 'svg')
  const attributes = {
    class: 'mark',
    viewBox: '0 0 24 24',
    fill: 'none',
    stroke: 'currentColor',
    'stroke-width': '2.5',
    'stroke-linecap': 'round',
    'stroke-linejoin': 'round',
    'aria-hidden': 'true',
  }
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value)
  svg.append(path)
  return svg
}
