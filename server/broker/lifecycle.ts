import type { ProblemCode } from '../../shared/index.js'

/** Where a socket is in its life, as listeners and operators are told. */
export type Phase = 'reserved' | 'waiting' | 'streaming' | 'interrupted' | 'closed'

/**
 * The same, some steps finer: the columns of the table. `connected` is told as `streaming`: a receiver is there, but not
 * a byte of the sender's body has been read, so the sender may still begin again by another request. `between` is told
 * so too: the receiver has a piece, and the sender's next request brings the next one. All the others are told as
 * `interrupted`:
 *
 * - `absent`: the sender of a link that waits has lost its connection, and may come back.
 * - `sender-away`: the same while a receiver is there, which waits.
 * - `rewinding`: a receiver has come back, and the sender is asked for its bytes from an earlier offset.
 * - `receiver-away`: the receiver has lost its connection, and may come back. The sender waits.
 * - `both-away`: both have.
 */
export type Stage =
  | Exclude<Phase, 'interrupted'>
  | 'connected'
  | 'between'
  | 'absent'
  | 'sender-away'
  | 'rewinding'
  | 'receiver-away'
  | 'both-away'

/** How a socket ended: well, or by the problem both sides are told. */
export type Outcome = 'delivered' | Extract<ProblemCode, Exclude<Input, 'delivered' | Move>>

/** Inputs that end no socket. */
type Move =
  | 'reopened'
  | 'reopened-midway'
  | 'sender-arrived'
  | 'receiver-arrived'
  | 'receiver-returned'
  | 'early-receiver-lost'
  | 'body-began'
  | 'piece-taken'
  | 'sender-interrupted'
  | 'receiver-interrupted'
  | 'return-expired'

/** Everything that can happen to a socket, from either side. */
export type Input =
  | 'reopened'
  | 'reopened-midway'
  | 'sender-arrived'
  | 'receiver-arrived'
  | 'receiver-returned'
  | 'early-receiver-lost'
  | 'body-began'
  | 'piece-taken'
  | 'delivered'
  | 'expired'
  | 'sender-interrupted'
  | 'receiver-interrupted'
  | 'return-expired'
  | 'sender-lost'
  | 'receiver-lost'
  | 'bad-request'
  | 'no-file-in-form'
  | 'too-large'
  | 'stalled'
  | 'internal-error'
  | 'cancelled'
  | 'shutting-down'
  | 'moved'

/** Everything that a socket does when its stage changes, or stays for a reason. `effects.ts` has one method for each. */
export type Effect =
  | 'arm-ttl'
  | 'clear-ttl'
  | 'hold-receiver'
  | 'let-receiver-go'
  | 'free-receivers'
  | 'take-sender'
  | 'watch-sender'
  | 'unwatch-sender'
  | 'release-sender'
  | 'lose-sender'
  | 'end-piece'
  | 'take-receiver'
  | 'lose-receiver'
  | 'ask-rewind'
  | 'arm-return'
  | 'clear-return'
  | 'tell-interrupted'
  | 'fail-receiver'
  | 'join-relay'
  | 'start-relay'
  | 'stop-relay'
  | 'tell-followers'
  | 'tell-verdict'
  | 'report-receiver'
  | 'report-interrupted'
  | 'report-end'

/** What follows from an input. */
export type Step =
  /** Leaves this stage and enters another one. */
  | { readonly go: Exclude<Stage, 'closed'> }
  /** Leaves this stage and enters `closed`, with this outcome. */
  | { readonly close: Outcome }
  /** Neither leaves nor enters a stage; only this is done. */
  | { readonly stay: readonly Effect[] }
  /** Changes nothing; the client that asked gets this problem. */
  | { readonly refuse: ProblemCode }
  /** Changes nothing. */
  | 'ignored'

interface StageRules {
  /** Done in this order when the stage is entered. */
  readonly enter: readonly Effect[]
  readonly leave: readonly Effect[]
  readonly on: Readonly<Record<Input, Step>>
}

/** How many receivers may wait for the sender of one reservation. One more is refused `busy`. Only one is served. */
export const MAX_EARLY_RECEIVERS = 8

const ignored = 'ignored'
const close = (outcome: Outcome): Step => ({ close: outcome })

/** Another node had it. Only a socket that is new here meets these. */
const NOT_NEW = { reopened: ignored, 'reopened-midway': ignored } as const

/** The ways to fail once a receiver is there. */
const FAILS_BETWEEN_TWO = {
  'sender-lost': close('sender-lost'),
  'receiver-lost': close('receiver-lost'),
  'bad-request': close('bad-request'),
  'no-file-in-form': close('no-file-in-form'),
  'too-large': close('too-large'),
  stalled: close('stalled'),
  'internal-error': close('internal-error'),
  cancelled: close('cancelled'),
  'shutting-down': close('shutting-down'),
  moved: close('moved'),
} as const

/** Nothing of the sender's comes that could fail. */
const NO_SENDER = {
  ...NOT_NEW,
  'body-began': ignored,
  'piece-taken': ignored,
  'sender-interrupted': ignored,
  'sender-lost': ignored,
  'bad-request': ignored,
  'no-file-in-form': ignored,
  'too-large': ignored,
  stalled: ignored,
  cancelled: close('cancelled'),
  'shutting-down': close('shutting-down'),
  moved: close('moved'),
} as const

/** A receiver waits, and the sender's next request brings what it lacks. */
const RECEIVER_WAITS = {
  ...NO_SENDER,
  'sender-arrived': { go: 'connected' },
  'receiver-arrived': { refuse: 'busy' },
  'receiver-returned': { go: 'rewinding' },
  'early-receiver-lost': ignored,
  // A receiver that counts for itself may have had its last byte, and leave, before the sender's end is known.
  delivered: close('delivered'),
  expired: ignored,
  'receiver-interrupted': { go: 'both-away' },
  'return-expired': close('sender-lost'),
  'receiver-lost': close('receiver-lost'),
  'internal-error': close('internal-error'),
} as const

/** Neither a sender nor a receiver is there. */
const NEITHER = {
  ...NO_SENDER,
  'receiver-arrived': { go: 'rewinding' },
  'receiver-returned': ignored,
  'early-receiver-lost': ignored,
  delivered: ignored,
  'receiver-interrupted': ignored,
  'return-expired': close('sender-lost'),
  'receiver-lost': ignored,
  'internal-error': ignored,
} as const

/** Only a socket that can go on meets these; the others are never told of them. */
const NOT_BEFORE_BYTES = {
  'receiver-returned': ignored,
  'piece-taken': ignored,
  'receiver-interrupted': ignored,
  'return-expired': ignored,
} as const

/**
 * The whole life of a socket. A sender's request opens it in `waiting`, a reservation in `reserved`.
 *
 * ```
 *                  receiver-arrived, early-receiver-lost
 *                  ┌────┐
 *                  │    ▼
 *  (reserved) ──► reserved
 *                    │ sender-arrived
 *                    ▼        receiver-arrived           body-began            delivered
 *   (opened) ──► waiting ───────────────► connected ───────────► streaming ───────────► closed(delivered)
 *                 │  ▲ │                   │    ▲ │                  │
 *                 └──┘ │                   └────┘ │                  │
 *       sender-arrived │           sender-arrived │                  │
 *                      │                          └────────┬─────────┘
 *                      │ sender-lost, expired,             │ sender-lost, receiver-lost, bad-request,
 *                      │ bad-request, cancelled,           │ no-file-in-form, too-large, stalled,
 *                      │ shutting-down, …                  │ internal-error, cancelled, shutting-down
 *                      ▼                                   ▼
 *              closed(that problem)                closed(that problem)
 * ```
 *
 * A sender that can go on by another request adds these. Each of them ends in `closed(sender-lost)` or
 * `closed(receiver-lost)` when its time is over.
 *
 * ```
 *                               sender-interrupted
 *      waiting ◄─────────────────────────────────────────────► absent ──────────┐ receiver-arrived
 *                               sender-arrived                                  │
 *                                                                               ▼
 *                    piece-taken                    sender-interrupted
 *      between ◄───────────────────── connected, ─────────────────► sender-away   rewinding
 *         │                           streaming                          │           │  ▲
 *         └──────────────────────────►  ▲  │  ◄──────────────────────────┴───────────┘  │ receiver-arrived,
 *               sender-arrived          │  │              sender-arrived     │          │ receiver-returned
 *                                       │  │ receiver-interrupted            │          │
 *                                       │  └──────────► receiver-away ───────┼──────────┤
 *                                       │                 │    ▲             │          │
 *                                       │  sender-        │    │ sender-     │ receiver-│
 *                                       │  interrupted    ▼    │ arrived     ▼ interrupted
 *                                       │                both-away ◄─────────┘          │
 *                                       │                 └─────────────────────────────┘
 * ```
 *
 * In a cluster, each stage may also end in `closed(moved)`. At the node where its sender opens the link again,
 * a socket begins in `absent`, or in `both-away` if a receiver had come.
 *
 * An input that comes late is normal, because two things often end at the same moment. The table says `ignored`.
 */
const TABLE = {
  reserved: {
    enter: ['arm-ttl'],
    leave: ['free-receivers'],
    on: {
      ...NOT_BEFORE_BYTES,
      reopened: { go: 'absent' },
      'reopened-midway': { go: 'both-away' },
      'sender-arrived': { go: 'waiting' },
      // It waits for the sender. The reservation stays as it was, even if this receiver leaves.
      'receiver-arrived': { stay: ['hold-receiver'] },
      'early-receiver-lost': { stay: ['let-receiver-go'] },
      'body-began': ignored,
      delivered: ignored,
      expired: close('expired'),
      'sender-interrupted': ignored,
      'sender-lost': ignored,
      'receiver-lost': ignored,
      'bad-request': ignored,
      'no-file-in-form': ignored,
      'too-large': ignored,
      stalled: ignored,
      'internal-error': ignored,
      cancelled: close('cancelled'),
      'shutting-down': close('shutting-down'),
      moved: close('moved'),
    },
  },
  waiting: {
    enter: ['take-sender', 'watch-sender', 'tell-followers'],
    leave: ['unwatch-sender'],
    on: {
      ...NOT_NEW,
      ...NOT_BEFORE_BYTES,
      // A proxy held back the first request's body, and the sender begins again by another request.
      'sender-arrived': { stay: ['take-sender', 'watch-sender'] },
      'receiver-arrived': { go: 'connected' },
      'early-receiver-lost': ignored,
      'body-began': ignored,
      delivered: ignored,
      expired: close('expired'),
      'sender-interrupted': { go: 'absent' },
      'sender-lost': close('sender-lost'),
      'receiver-lost': ignored,
      'bad-request': close('bad-request'),
      'no-file-in-form': close('no-file-in-form'),
      'too-large': ignored,
      stalled: ignored,
      'internal-error': ignored,
      cancelled: close('cancelled'),
      'shutting-down': close('shutting-down'),
      moved: close('moved'),
    },
  },
  connected: {
    enter: ['take-sender', 'take-receiver', 'join-relay', 'report-receiver', 'start-relay'],
    leave: [],
    on: {
      ...NOT_NEW,
      // The same as in `waiting`. The receiver notices nothing.
      'sender-arrived': { stay: ['take-sender', 'join-relay', 'start-relay'] },
      'receiver-arrived': { refuse: 'busy' },
      'receiver-returned': { go: 'rewinding' },
      'early-receiver-lost': ignored,
      'body-began': { go: 'streaming' },
      'piece-taken': ignored,
      delivered: ignored,
      // The TTL is for waiting: a receiver that came in time is served, however long that takes.
      expired: ignored,
      'sender-interrupted': { go: 'sender-away' },
      'receiver-interrupted': { go: 'receiver-away' },
      'return-expired': ignored,
      ...FAILS_BETWEEN_TWO,
    },
  },
  streaming: {
    enter: [],
    leave: [],
    on: {
      ...NOT_NEW,
      'sender-arrived': { refuse: 'already-open' },
      'receiver-arrived': { refuse: 'busy' },
      'receiver-returned': { go: 'rewinding' },
      'early-receiver-lost': ignored,
      'body-began': ignored,
      'piece-taken': { go: 'between' },
      delivered: close('delivered'),
      expired: ignored,
      'sender-interrupted': { go: 'sender-away' },
      'receiver-interrupted': { go: 'receiver-away' },
      'return-expired': ignored,
      ...FAILS_BETWEEN_TWO,
    },
  },
  between: {
    enter: ['end-piece', 'arm-return'],
    leave: ['clear-return'],
    on: RECEIVER_WAITS,
  },
  absent: {
    enter: ['lose-sender', 'arm-return', 'tell-interrupted'],
    leave: ['clear-return'],
    on: { ...NEITHER, 'sender-arrived': { go: 'waiting' }, expired: close('expired') },
  },
  'sender-away': {
    enter: ['lose-sender', 'arm-return', 'tell-interrupted', 'report-interrupted'],
    leave: ['clear-return'],
    on: RECEIVER_WAITS,
  },
  rewinding: {
    enter: ['take-receiver', 'ask-rewind', 'arm-return'],
    leave: ['clear-return'],
    on: { ...RECEIVER_WAITS, delivered: ignored },
  },
  'receiver-away': {
    enter: [
      'take-sender',
      'lose-receiver',
      'watch-sender',
      'arm-return',
      'tell-interrupted',
      'report-interrupted',
    ],
    leave: ['unwatch-sender', 'clear-return'],
    on: {
      ...NOT_NEW,
      'sender-arrived': { refuse: 'already-open' },
      'receiver-arrived': { go: 'rewinding' },
      'receiver-returned': ignored,
      'early-receiver-lost': ignored,
      'body-began': ignored,
      'piece-taken': ignored,
      // Its last bytes had arrived, as it says by another request.
      delivered: close('delivered'),
      expired: ignored,
      'sender-interrupted': { go: 'both-away' },
      'receiver-interrupted': ignored,
      'return-expired': close('receiver-lost'),
      'sender-lost': ignored,
      'receiver-lost': close('receiver-lost'),
      // Another request will bring the bytes, whatever this one goes on with.
      'bad-request': ignored,
      'no-file-in-form': ignored,
      'too-large': ignored,
      stalled: ignored,
      'internal-error': ignored,
      cancelled: close('cancelled'),
      'shutting-down': close('shutting-down'),
      moved: close('moved'),
    },
  },
  'both-away': {
    enter: ['lose-sender', 'lose-receiver', 'arm-return', 'tell-interrupted', 'report-interrupted'],
    leave: ['clear-return'],
    on: {
      ...NEITHER,
      'sender-arrived': { go: 'receiver-away' },
      expired: ignored,
      delivered: close('delivered'),
      'receiver-lost': close('receiver-lost'),
    },
  },
  closed: {
    enter: ['clear-ttl', 'stop-relay', 'fail-receiver', 'release-sender', 'tell-verdict', 'report-end'],
    leave: [],
    on: {
      ...NOT_NEW,
      ...NOT_BEFORE_BYTES,
      'sender-arrived': { refuse: 'gone' },
      'receiver-arrived': { refuse: 'gone' },
      'early-receiver-lost': ignored,
      'body-began': ignored,
      delivered: ignored,
      expired: ignored,
      'sender-interrupted': ignored,
      'sender-lost': ignored,
      'receiver-lost': ignored,
      'bad-request': ignored,
      'no-file-in-form': ignored,
      'too-large': ignored,
      stalled: ignored,
      'internal-error': ignored,
      cancelled: ignored,
      'shutting-down': ignored,
      moved: ignored,
    },
  },
} as const satisfies Record<Stage, StageRules>

/** How a stage is told to listeners and operators. */
export function phaseOf(stage: Stage): Phase {
  if (stage === 'connected' || stage === 'between') return 'streaming'
  return stage === 'reserved' || stage === 'waiting' || stage === 'streaming' || stage === 'closed'
    ? stage
    : 'interrupted'
}

/** What follows from `input` in this stage. */
export function nextStep(stage: Stage, input: Input): Step {
  return TABLE[stage].on[input]
}

/** What is done when this stage is entered and left. */
export function effectsOf(stage: Stage): Pick<StageRules, 'enter' | 'leave'> {
  return TABLE[stage]
}
