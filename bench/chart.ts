import type { Scenario } from './scenario.js'
import { median } from './statistics.js'
import type { Measured } from './table.js'

/** One scenario to draw. */
export interface Panel {
  readonly scenario: Scenario
  readonly measured: Measured
}

const WIDTH = 720
const LABEL_WIDTH = 130
const VALUE_WIDTH = 80
const BAR = 16
const GAP = 6
const PANEL_HEAD = 44

/**
 * An SVG of the first number of each scenario: one bar for each subject, the best on top. Readable on a light page
 * and on a dark one, wherever the viewer tells it which.
 */
export function drawChart(panels: readonly Panel[], caption: string): string {
  let y = 0
  const parts = panels.map((panel) => {
    const { svg, height } = drawPanel(panel, y)
    y += height
    return svg
  })
  const height = y + 32
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 14px }
  .soft { fill: #656d76 }
  .ess { fill: #1f6feb } .peer { fill: #afb8c1 } .floor { fill: #7a8490 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .soft { fill: #8d96a0 }
    .ess { fill: #58a6ff } .peer { fill: #4d5560 } .floor { fill: #848d97 }
  }
</style>
${parts.join('\n')}
<text class="soft" x="0" y="${height - 8}">${escapeXml(caption)}</text>
</svg>
`
}

function drawPanel({ scenario, measured }: Panel, top: number): { svg: string; height: number } {
  const [[key, metric] = ['', { title: '', digits: 0 }]] = Object.entries(scenario.metrics)
  const rows = [...measured]
    .map(([subject, runs]) => ({ subject, value: median(runs.map((run) => run[key] ?? Number.NaN)) }))
    .sort((a, b) => a.value - b.value)
  const longest = Math.max(...rows.map(({ value }) => value))
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
  const bars = rows.map(({ subject, value }, at) => {
    const y = top + PANEL_HEAD + at * (BAR + GAP)
    const width = Math.max(1, (value / longest) * room)
    const kind = subject.startsWith('ess') ? 'ess' : subject.startsWith('c-') ? 'floor' : 'peer'
    return `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escapeXml(subject)}</text>
<rect class="${kind}" x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>
<text class="soft" x="${(LABEL_WIDTH + width + 6).toFixed(1)}" y="${y + 13}">${value.toFixed(metric.digits)}</text>`
  })
  const title = `<text class="title" x="0" y="${top + 30}">${escapeXml(scenario.title)}: ${escapeXml(metric.title)}</text>`
  return { svg: [title, ...bars].join('\n'), height: PANEL_HEAD + rows.length * (BAR + GAP) }
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}
