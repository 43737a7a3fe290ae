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

/** docs/faults.md: every cell as it was seen, by its name, and what the words mean. */
export function faultsPage(observed: ReadonlyMap<string, Observation>): string {
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
  return `${[introduction(count), ...sections].join('\n\n')}\n`
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
  return `# What becomes of a transfer when the network fails

Written by the tests in \`test/faults/\`, which do this to a real \`ess-server\`: between it and one of the two peers stands a proxy, which does one thing to that connection, at one moment. These are ${count} cases. Each cell says what the **sender** was told **/** what the **receiver** saw. A run that sees anything else fails; so does one in which a socket has not exactly one end in the server's log, a status stream has two verdicts or a word after the verdict, or the server keeps a descriptor.

What is done to the connection:

| fault | |
| --- | --- |
| delay | what comes after that moment comes a little later |
| throttle | it comes slowly |
| split | it comes byte by byte, so that heads and the heads of chunks come in pieces |
| half-close | the server reads an end (FIN) of what this peer has to say; the peer can still read |
| FIN | both are told so, and nothing passes any more |
| RST | both are reset |
| black hole | nothing passes any more, and nobody is told |

What the sender was told:

| words | |
| --- | --- |
| delivered | the verdict, and the clean end of its response; the status 200, of a reservation |
| delivered, unconfirmed | the same with \`"confirmed":false\`: all bytes were sent, and for 30 s the receiver did not say that it has them. \`ess send\` exits with 7 |
| failed: \`code\` | that verdict, and a response without an end: its connection half-closed, or its stream of HTTP/2 reset |
| \`status\` \`code\` | the answer to a request that was refused, or the verdict of an upload to a reservation |
| cut off | its connection ended without a verdict, which is a failure too |
| silence | nothing more, on a connection that looks open |

What the receiver saw:

| words | |
| --- | --- |
| whole | every byte, and the clean end of the response |
| reset | a part, and then a connection, or a stream of HTTP/2, that was reset by the server |
| \`status\` \`code\` | a problem instead of a file |
| cut off, silence | as above, and no end of a response |
| nobody | no link was given out |

Where a peer was lost before the server had its request, or while it waited and held up nobody, "the next one" says what another in its place was told: nothing was used up.

Two things cannot be known by any server, and this is how they are decided. A receiver that was cut off between its last byte and its answer may have the file or not: a reset is taken for a no, though the receiver may have all of it. And where even the answer does not come, nobody knows: that is "delivered, unconfirmed". There is no third case. Whenever the sender was told "delivered", the receiver had every byte, and read a clean end. (Something on the way that closes in good order without having passed everything on speaks in the receiver's name, and is believed.)

Left out: ${LEFT_OUT.map(({ reason }) => lowerFirst(reason)).join('; ')}.

HTTP/2 is over TLS, and so are the pairs that speak different versions, named from the sender to the receiver; HTTP/1.1 on both sides is without. HTTP/2 has no half of a connection, so a half-close ends it for both. And before the last bytes of a download the server asks whether all before them were read, and waits up to 30 s for the answer; here a silent receiver has stalled before that, because the server is told to take 5 s without a byte for a stall (\`--stall-timeout\`), instead of 60.`
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, '')
}
