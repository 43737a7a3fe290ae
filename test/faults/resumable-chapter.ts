import type { Observation } from './expectations.js'
import { FAULTS, LEGS, PAIRINGS, VERSIONS } from './matrix.js'
import type { ResumableObservation } from './resumable-expectations.js'
import {
  LEFT_OUT_OF_RESUMABLE,
  nameOfResumable,
  RESUMABLE_PHASES,
  RESUMABLE_WAYS,
  type ResumableCell,
  type ResumablePhase,
  resumableCellsOf,
} from './resumable-matrix.js'

type Observed = ReadonlyMap<string, Observation | ResumableObservation>

/** The chapter of docs/faults.md about senders that can go on. */
export function resumableChapter(observed: Observed): string[] {
  const sections = PAIRINGS.flatMap((version) => {
    const cells = resumableCellsOf(version)
    // With different versions the ways take turns.
    if (!VERSIONS.some((one) => one === version)) return sectionOf(version, cells, observed)
    return RESUMABLE_WAYS.flatMap((way) =>
      sectionOf(
        `${version}, ${way}`,
        cells.filter((cell) => cell.way === way),
        observed,
      ),
    )
  })
  const count = PAIRINGS.reduce((sum, version) => sum + resumableCellsOf(version).length, 0)
  return [introduction(count), ...sections]
}

function sectionOf(title: string, cells: readonly ResumableCell[], observed: Observed): string[] {
  const tables = LEGS.map((leg) => {
    const rows = cells.filter((cell) => cell.leg === leg)
    return tableOf(`on the ${leg}'s connection`, rows, observed)
  })
  return [`### ${title}, a sender that can go on`, ...tables]
}

function tableOf(corner: string, cells: readonly ResumableCell[], observed: Observed): string {
  const faults = Object.keys(FAULTS).filter((name) => cells.some(({ fault }) => fault === name))
  // `Object.keys` forgets what the keys are.
  const phases = (Object.keys(RESUMABLE_PHASES) as ResumablePhase[]).filter((phase) =>
    cells.some((cell) => cell.phase === phase),
  )
  const rows = phases.map((phase) => [
    RESUMABLE_PHASES[phase],
    ...faults.map((fault) =>
      inWords(
        cells.filter((cell) => cell.phase === phase && cell.fault === fault),
        observed,
      ),
    ),
  ])
  return [[corner, ...faults], [corner, ...faults].map(() => '---'), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')
}

/** What was seen when the side that was hurt came back, and what when it stayed away. */
function inWords(cells: readonly ResumableCell[], observed: Observed): string {
  const viewsOf = (comesBack: boolean) =>
    cells.filter((cell) => cell.comesBack === comesBack).map((cell) => viewIn(observed, cell))
  const back = new Set(viewsOf(true))
  const away = new Set(viewsOf(false).filter((view) => !back.has(view)))
  return [...back, ...[...away].map((view) => `else ${view}`)].join('; ') || '–'
}

function viewIn(observed: Observed, cell: ResumableCell): string {
  const seen = observed.get(nameOfResumable(cell))
  if (seen === undefined) return 'not seen'
  const view = `${seen.sender} **/** ${seen.receiver}`
  const isWhole = view === 'delivered **/** whole'
  return isWhole && 'wentOn' in seen && seen.wentOn ? 'goes on' : view
}

function introduction(count: number): string {
  return `## If the sender can go on

These ${count} cases have a sender that says \`Ess-Resume: rewind\`, as \`ess send\` does for a file, and a server that waits for a side that is lost (see [protocol.md](protocol.md)). Each fault is tried twice. Once, the side that was hurt comes back by another connection: a sender asks its upload resource where to go on, and sends the rest; a receiver asks for what it lacks, with the tag of the file, and the sender follows the rewind. And once it stays away, until the server's time is over (\`--resume-within 0.2\` here, or 3 for pieces).

| words | |
| --- | --- |
| goes on | the side that was hurt came back, the transfer went on, and it ended as delivered **/** whole: every byte once, in the order of the file, and the verdict \`delivered\` |
| else | what both were told if it stayed away |
| asks: | the sender's own response was lost with the verdict on it; it asked its upload resource, and was told this |
| – | not tried: see below |

All other words are the same as above. In every case one more connection follows the events of the upload resource. It has to read exactly one verdict, as its last event, and both the first upload resource and the last one have to tell the same verdict afterwards.

A sender in pieces sends its file as two requests to a reservation: the first quarter, and the rest.

A side that stays away is told nothing, and the other one is told whose connection was lost, once the time is over. So a silent side ends as \`sender-lost\` or \`receiver-lost\` here, and not as \`stalled\`. A sender that the server has given up is cut off without a verdict, even if it can still read: it finds out by asking.

Not all combinations are tried. Every fault that does harm is tried at every phase, on each side, in each way, by HTTP/1.1 and by HTTP/2, and with both lengths if the side comes back; if it stays away, known and unknown lengths take turns. The faults that do no harm take turns with the ways and the lengths, and so do all faults where the versions differ. A cell shows everything that was seen with either length. After the last byte, the sender comes back before the receiver has confirmed if the length is known and the receiver speaks HTTP/1.1, and else after the end. These are left out:

${LEFT_OUT_OF_RESUMABLE.map(({ reason }) => `- ${reason}`).join('\n')}`
}
