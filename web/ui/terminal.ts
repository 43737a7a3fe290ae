import { element } from './element.js'

/** A line for a terminal, and what it needs there. */
export interface Line {
  readonly words: string
  readonly line: string
}

/** Lines for a terminal, which a person opens. */
export function terminalLines(title: string, lines: readonly Line[]): HTMLElement {
  return element(
    'details',
    { className: 'terminal' },
    element('summary', {}, title),
    ...lines.flatMap(({ words, line }) => [element('p', {}, words), element('pre', {}, line)]),
  )
}
