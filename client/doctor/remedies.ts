import { CAUSES, type Cause, type CauseName, FRONTS, type Front, type Place } from './causes.js'

/** One line that mends a fault, and where it belongs. */
export interface Remedy {
  readonly place: Place
  readonly line: string
}

/**
 * The remedies of a cause: those of the proxy that is in front, of all of them where it can't be told which one is
 * there (`undefined`), of none where there is none; and those of ess-server and yours.
 */
export function remediesOf(
  cause: CauseName,
  front: Front | 'none' | undefined,
  base: string,
): readonly Remedy[] {
  const mend: Cause['mend'] = CAUSES[cause].mend
  const fronts = front === undefined ? FRONTS : front === 'none' ? [] : [front]
  const places: readonly Place[] = ['you', ...fronts, 'ess-server']
  const found = places.flatMap((place) => {
    const line = mend[place]
    return line === undefined ? [] : [{ place, line: line.replaceAll('{base}', () => base) }]
  })
  // A fault of a proxy that has no line of its own: then any of the lines may help.
  return found.length > 0 || front === undefined ? found : remediesOf(cause, undefined, base)
}
