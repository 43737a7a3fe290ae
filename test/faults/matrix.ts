import type { Fault } from '../helpers/tcp-proxy.js'

/** What happens to a connection, by its name in the tables. */
export const FAULTS = {
  delay: { kind: 'delay', ms: 100 },
  throttle: { kind: 'throttle', bytesPerSecond: 200_000 },
  split: { kind: 'split', bytes: 50 },
  'half-close': { kind: 'half-close' },
  FIN: { kind: 'fin' },
  RST: { kind: 'rst' },
  'black hole': { kind: 'black-hole' },
} as const satisfies Record<string, Fault>
export type FaultName = keyof typeof FAULTS

/** What becomes of a transfer: nothing, an end that the server can see, or silence. */
export type Effect = 'harmless' | 'cut' | 'swallowed'
export const EFFECTS: Readonly<Record<FaultName, Effect>> = {
  delay: 'harmless',
  throttle: 'harmless',
  split: 'harmless',
  'half-close': 'cut',
  FIN: 'cut',
  RST: 'cut',
  'black hole': 'swallowed',
}

/** When it happens, in words. */
export const PHASES = {
  head: 'while the head of its request is sent',
  waiting: 'while it waits for the other side',
  connected: 'both there, before the first byte',
  midway: 'midway',
  last: 'before the last byte',
  unconfirmed: 'after the last byte, before the confirmation',
  verdict: 'while the verdict is written',
} as const
export type Phase = keyof typeof PHASES

export const LEGS = ['sender', 'receiver'] as const
/** Whose connection it happens to. */
export type Leg = (typeof LEGS)[number]

export const LENGTHS = ['known', 'unknown'] as const
export type Length = (typeof LENGTHS)[number]

export const WAYS = ['early response', 'reservation'] as const
/** How the sender is answered: by the status stream of its own request, or at the end. */
export type Way = (typeof WAYS)[number]

export const VERSIONS = ['HTTP/1.1', 'HTTP/2'] as const
/** The second is over TLS. */
export type Version = (typeof VERSIONS)[number]

/** What the sender speaks, and what the receiver does, of the same server. */
const MIXTURES = {
  'HTTP/1.1 to HTTP/2': { sender: 'HTTP/1.1', receiver: 'HTTP/2' },
  'HTTP/2 to HTTP/1.1': { sender: 'HTTP/2', receiver: 'HTTP/1.1' },
} as const satisfies Record<string, Record<Leg, Version>>
type Mixture = keyof typeof MIXTURES

/** What both of them speak, or each of them. */
export type Pairing = Version | Mixture

/** By the server that they have to do with: the first is without TLS. */
export const SERVERS = [
  { title: 'HTTP/1.1', isTls: false, pairings: ['HTTP/1.1'] },
  {
    title: 'HTTP/2, and HTTP/1.1 with it over TLS',
    isTls: true,
    // `Object.keys` forgets what the keys are.
    pairings: ['HTTP/2', ...(Object.keys(MIXTURES) as Mixture[])],
  },
] as const satisfies readonly { title: string; isTls: boolean; pairings: readonly Pairing[] }[]

/** All of them, in the order of the tables. */
export const PAIRINGS: readonly Pairing[] = SERVERS.flatMap(({ pairings }): readonly Pairing[] => pairings)

/** What a peer speaks. */
export function versionOf(pairing: Pairing, leg: Leg): Version {
  // What `in` says of the key, it does not say of its type.
  return pairing in MIXTURES ? MIXTURES[pairing as Mixture][leg] : (pairing as Version)
}

/** One case: one fault, on one connection of one transfer. */
export interface Cell {
  readonly fault: FaultName
  readonly phase: Phase
  readonly leg: Leg
  readonly length: Length
  readonly way: Way
  readonly version: Pairing
}

/** The cells that make no sense, each by the reason that stands in the table. */
export const LEFT_OUT: readonly {
  readonly reason: string
  readonly is: (cell: Cell) => boolean
}[] = [
  {
    reason: 'A receiver can wait for a sender only with a reservation.',
    is: ({ leg, phase, way }) => leg === 'receiver' && phase === 'waiting' && way === 'early response',
  },
  {
    reason: 'When the verdict is written, the receiver has already closed its connection.',
    is: ({ leg, phase }) => leg === 'receiver' && phase === 'verdict',
  },
  {
    reason: 'With different versions, the faults that do no harm, and those before the two peers meet.',
    is: ({ version, fault, phase }) =>
      version in MIXTURES &&
      (EFFECTS[fault] === 'harmless' || fault === 'half-close' || phase === 'head' || phase === 'waiting'),
  },
]

/** All the others, in the order of the tables. */
export function cellsOf(version: Pairing): Cell[] {
  // `Object.keys` forgets what the keys are.
  const phases = Object.keys(PHASES) as Phase[]
  const faults = Object.keys(FAULTS) as FaultName[]
  return WAYS.flatMap((way) =>
    LENGTHS.flatMap((length) =>
      LEGS.flatMap((leg) =>
        phases.flatMap((phase) => faults.map((fault) => ({ version, way, length, leg, phase, fault }))),
      ),
    ),
  ).filter((cell) => !LEFT_OUT.some(({ is }) => is(cell)))
}

/** True for what ends only when the server has waited 30 s for a confirmation. */
export function isLong({ fault, leg, phase }: Cell): boolean {
  return fault === 'black hole' && leg === 'receiver' && (phase === 'last' || phase === 'unconfirmed')
}

/** A cell in words, for messages. */
export function nameOf({ version, way, length, leg, phase, fault }: Cell): string {
  return `${version}, ${way}, ${length} length: ${fault} on the ${leg}'s connection, ${PHASES[phase]}`
}
