import {
  type Cell,
  EFFECTS,
  FAULTS,
  type FaultName,
  LEGS,
  LENGTHS,
  type Pairing,
  PHASES,
  type Phase,
  VERSIONS,
  versionOf,
  WAYS,
} from './matrix.js'

export const RESUMABLE_WAYS = [...WAYS, 'pieces'] as const
/** As above; a sender in pieces goes on by request after request, to a reservation. */
export type ResumableWay = (typeof RESUMABLE_WAYS)[number]

const { head, waiting, connected, ...later } = PHASES
export const RESUMABLE_PHASES = {
  head,
  waiting,
  connected,
  between: 'between two pieces',
  ...later,
} as const satisfies Record<Phase | 'between', string>
export type ResumablePhase = keyof typeof RESUMABLE_PHASES

/** One fault, on one connection of one transfer whose sender can go back to any byte. */
export interface ResumableCell extends Omit<Cell, 'way' | 'phase'> {
  readonly way: ResumableWay
  readonly phase: ResumablePhase
  /** False: the side whose connection was hurt never comes back, and its time runs out. */
  readonly comesBack: boolean
}

interface Reasoned {
  readonly reason: string
  readonly is: (cell: ResumableCell) => boolean
}

export const LEFT_OUT_OF_RESUMABLE: readonly Reasoned[] = [
  {
    reason: 'A receiver can wait for a sender only with a reservation.',
    is: ({ leg, phase, way }) => leg === 'receiver' && phase === 'waiting' && way === 'early response',
  },
  {
    reason: 'When the verdict is written, the receiver has already closed its connection.',
    is: ({ leg, phase }) => leg === 'receiver' && phase === 'verdict',
  },
  {
    reason: 'Between two pieces the sender has no request, so its connection does not matter.',
    is: ({ leg, phase, way }) => phase === 'between' && (way !== 'pieces' || leg === 'sender'),
  },
  {
    reason: 'Over HTTP/2 a half-close is the same as a FIN.',
    is: ({ version, leg, fault }) => fault === 'half-close' && versionOf(version, leg) === 'HTTP/2',
  },
  {
    reason: 'With different versions, the faults that do no harm, and those before the two peers meet.',
    is: ({ version, fault, phase }) =>
      isMixture(version) && (isLesser(fault) || phase === 'head' || phase === 'waiting'),
  },
  {
    reason: 'No side stays away where nothing was lost, or where another peer takes the place.',
    is: ({ comesBack, fault, phase, leg }) =>
      !comesBack &&
      (EFFECTS[fault] === 'harmless' ||
        phase === 'head' ||
        (leg === 'receiver' && phase === 'waiting' && EFFECTS[fault] === 'cut')),
  },
]

function isMixture(version: Pairing): boolean {
  return !VERSIONS.some((one) => one === version)
}

function isLesser(fault: FaultName): boolean {
  return EFFECTS[fault] === 'harmless' || fault === 'half-close'
}

/**
 * The others, in the order of the tables. Not all combinations: the lengths take turns where a side stays away; and of
 * the faults that do no harm, and of the pairs of different versions, the ways and the lengths take turns.
 */
export function resumableCellsOf(version: Pairing): ResumableCell[] {
  // `Object.keys` forgets what the keys are.
  const phases = Object.keys(RESUMABLE_PHASES) as ResumablePhase[]
  const faults = Object.keys(FAULTS) as FaultName[]
  return RESUMABLE_WAYS.flatMap((way, w) =>
    LEGS.flatMap((leg, l) =>
      phases.flatMap((phase, p) =>
        faults.flatMap((fault, f) =>
          [true, false].flatMap((comesBack, b) => {
            const turn = p + f + l + b
            const takesTurns = isMixture(version) || EFFECTS[fault] === 'harmless'
            if (takesTurns && phase !== 'between' && turn % RESUMABLE_WAYS.length !== w) return []
            const cell = { version, way, leg, phase, fault, comesBack }
            const isFull = comesBack && !takesTurns
            return LENGTHS.filter((_, at) => isFull || at === (turn + w) % LENGTHS.length).map((length) => ({
              ...cell,
              length,
            }))
          }),
        ),
      ),
    ),
  ).filter((cell) => !LEFT_OUT_OF_RESUMABLE.some(({ is }) => is(cell)))
}

/** True for what ends only when the server has waited 30 s for a confirmation. */
export function isLongResumable({ fault, leg, phase, comesBack }: ResumableCell): boolean {
  if (fault !== 'black hole' || leg !== 'receiver') return false
  return phase === 'unconfirmed' || (phase === 'last' && !comesBack)
}

/** A cell in words, for messages. */
export function nameOfResumable(cell: ResumableCell): string {
  const { version, way, length, leg, phase, fault, comesBack } = cell
  const who = `the ${leg} ${comesBack ? 'comes back' : 'stays away'}`
  return `${version}, ${way}, ${length} length: ${fault} on the ${leg}'s connection, ${RESUMABLE_PHASES[phase]}; ${who}`
}
