import type { Observation } from './expectations.js'
import {
  type Cell,
  cellsOf,
  FAULTS,
  LEFT_OUT,
  LEGS,
  LENGTHS,
  nameOf,
  PAIRINGS,
  PHASES,
  type Phase,
  WAYS,
} from './matrix.js'
import { resumableChapter } from './resumable-chapter.js'
import type { ResumableObservation } from './resumable-expectations.js'

/** docs/faults.md: every cell as it was seen, by its name, and what the words mean. */
export function faultsPage(observed: ReadonlyMap<string, Observation | ResumableObservation>): string {
  const sections = PAIRINGS.flatMap((version) =>
    WAYS.flatMap((way) =>
      LENGTHS.flatMap((length) => [
        `## ${version}, ${way}, ${length} length`,
        ...LEGS.map((leg) => {
          const cells = cellsOf(version).filter(
            (cell) => cell.way === way && cell.length === length && cell.leg === leg,
          )
          return tableOf(`on the ${leg}'s connection`, cells, observed)
        }),
      ]),
    ),
  )
  const count = PAIRINGS.reduce((sum, pairing) => sum + cellsOf(pairing).length, 0)
  return `${[introduction(count), ...sections, ...resumableChapter(observed)].join('\n\n')}\n`
}

function tableOf(corner: string, cells: readonly Cell[], observed: ReadonlyMap<string, Observation>): string {
  const faults = Object.keys(FAULTS).filter((name) => cells.some(({ fault }) => fault === name))
  // `Object.keys` forgets what the keys are.
  const phases = (Object.keys(PHASES) as Phase[]).filter((phase) =>
    cells.some((cell) => cell.phase === phase),
  )
  const rows = phases.map((phase) => [
    PHASES[phase],
    ...cells.filter((cell) => cell.phase === phase).map((cell) => inWords(observed.get(nameOf(cell)))),
  ])
  return [[corner, ...faults], [corner, ...faults].map(() => '---'), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')
}

function inWords(observation: Observation | undefined): string {
  if (observation === undefined) return 'not seen'
  return `${observation.sender} **/** ${observation.receiver}`
}

function introduction(count: number): string {
  return `# When the network fails

The tests in \`test/faults/\` write this page. They run a real \`ess-server\`, with a proxy between it and one of the two peers, and the proxy does one thing to that connection at one moment. In the first ${count} cases the sender can't go on after a cut, as with plain curl; the last chapter, [If the sender can go on](#if-the-sender-can-go-on), is about those that can. Each cell shows what the **sender** was told **/** what the **receiver** saw. The tests fail if they see anything else. They also fail if a socket doesn't have exactly one end in the server's log, if a status stream has two verdicts or a word after the verdict, or if the server keeps a descriptor (so a pipe, too), a timer, an object of the transfer, or an entry of its id or of an upload's secret.

The proxy does one of these to the connection:

| fault | |
| --- | --- |
| delay | passes everything after that moment a little later |
| throttle | passes everything slowly |
| split | passes single bytes, so that heads and the heads of chunks come in pieces |
| half-close | sends the server a FIN, as if this peer had nothing more to say; the peer can still read |
| FIN | sends a FIN both ways, and passes nothing any more |
| RST | resets both ways |
| black hole | passes nothing any more, and tells neither side |

The sender was told:

| words | |
| --- | --- |
| delivered | the verdict, and then the clean end of its response; with a reservation, the status 200 |
| delivered, unconfirmed | the same with \`"confirmed":false\`: all bytes were sent, and for 30 s the receiver did not confirm them. \`ess send\` exits with 7 |
| failed: \`code\` | that verdict, and then no proper end of the response: the connection is half-closed, or the HTTP/2 stream reset |
| \`status\` \`code\` | the answer to a request that was refused, or the verdict of an upload to a reservation |
| cut off | no verdict before the end of its connection, which is a failure too |
| silence | nothing more, on a connection that looks open |

The receiver saw:

| words | |
| --- | --- |
| whole | every byte, and the clean end of the response |
| reset | a part, and then the server reset the connection, or the HTTP/2 stream |
| \`status\` \`code\` | a problem instead of a file |
| cut off, silence | as above, and no end of the response |
| no link | there was no receiver, because the sender got no link |

If a peer was lost before the server had its request, or while it waited without holding up the other side, its place is free again: "the next one" shows what a second peer was told.

No server can know two things, and ESS decides them like this. A receiver that was cut off between its last byte and its answer may have the file or not: ESS takes a reset for a no, though the receiver may have all of it. If no answer comes at all, the sender is told "delivered, unconfirmed". There is no third case. Whenever the sender was told "delivered", the receiver had every byte, and read a clean end. (If a proxy closes in good order without having passed everything on, it speaks in the receiver's name, and ESS believes it.)

These cases are left out:

${LEFT_OUT.map(({ reason }) => `- ${reason}`).join('\n')}

HTTP/2 runs over TLS, and so do the pairs that speak different versions, named from the sender to the receiver; HTTP/1.1 on both sides runs without TLS. An HTTP/2 connection can't be half-closed, so a half-close ends it for both. Before the last bytes of an HTTP/2 download the server asks whether all before them were read, and waits up to 30 s for the answer. Here a silent receiver has stalled before that, because the servers that meet a black hole run with \`--stall-timeout 5\` instead of 60.`
}
