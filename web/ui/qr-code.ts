import { encode } from 'uqr'

const SVG = 'http://www.w3.org/2000/svg'
/** Cameras need a margin of four modules. */
const MARGIN = 4

/** A link as a picture for a phone's camera: black on white, whatever the page looks like. `label` is for screen readers. */
export function qrCode(link: string, label: string): SVGElement {
  const { data, size } = encode(link, { ecc: 'L', border: 0 })
  const whole = size + 2 * MARGIN
  const squares = data.flatMap((row, y) =>
    row.flatMap((isDark, x) => (isDark ? [`M${x + MARGIN} ${y + MARGIN}h1v1h-1z`] : [])),
  )
  return make(
    'svg',
    { viewBox: `0 0 ${whole} ${whole}`, role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' },
    make('rect', { width: String(whole), height: String(whole), fill: '#fff' }),
    make('path', { d: squares.join(''), fill: '#000' }),
  )
}

function make(
  tag: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly Node[]
): SVGElement {
  const made = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  // Of the namespace above.
  return made as SVGElement
}
