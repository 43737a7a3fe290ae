import type { ProblemCode } from '../../shared/index.js'

/** Where a socket is in its life, as listeners and operators are told. */
export type Phase = 'reserved' | 'waiting' | 'streaming' | 'closed'

/**
 * The same, one step finer: the columns of the table. `connected` is told as `streaming`. A receiver is there, but not
 * a byte of the sender's body has been read, so the sender may still begin again by another request.
 */
export type Stage = Phase | 'connected'

/** How a socket ended: well, or by the problem both sides are told. */
export type Outcome = 'delivered' | Extract<ProblemCode, Exclude<Input, 'delivered' | Move>>

/** Inputs that end no socket. */
type Move = 'sender-arrived' | 'receiver-arrived' | 'early-receiver-lost' | 'body-began'

/** Everything that can happen to a socket, from either side. */
export type Input =
  | 'sender-arrived'
  | 'receiver-arrived'
  | 'early-receiver-lost'
  | 'body-began'
  | 'delivered'
  | 'expired'
  | 'sender-lost'
  | 'receiver-lost'
  | 'bad-request'
  | 'no-file-in-form'
  | 'too-large'
  | 'stalled'
  | 'internal-error'
  | 'cancelled'
  | 'shutting-down'

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
  | 'take-receiver'
  | 'fail-receiver'
  | 'join-relay'
  | 'start-relay'
  | 'stop-relay'
  | 'tell-followers'
  | 'tell-verdict'
  | 'report-receiver'
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
 * An input that comes late is normal, because two things often end at the same moment. The table says `ignored`.
 */
const TABLE = {
  reserved: {
    enter: ['arm-ttl'],
    leave: ['free-receivers'],
    on: {
      'sender-arrived': { go: 'waiting' },
      // It waits for the sender. The reservation stays as it was, even if this receiver leaves.
      'receiver-arrived': { stay: ['hold-receiver'] },
      'early-receiver-lost': { stay: ['let-receiver-go'] },
      'body-began': ignored,
      delivered: ignored,
      expired: close('expired'),
      'sender-lost': ignored,
      'receiver-lost': ignored,
      'bad-request': ignored,
      'no-file-in-form': ignored,
      'too-large': ignored,
      stalled: ignored,
      'internal-error': ignored,
      cancelled: close('cancelled'),
      'shutting-down': close('shutting-down'),
    },
  },
  waiting: {
    enter: ['take-sender', 'watch-sender', 'tell-followers'],
    leave: ['unwatch-sender'],
    on: {
      // A proxy held back the first request's body, and the sender begins again by another request.
      'sender-arrived': { stay: ['take-sender', 'watch-sender'] },
      'receiver-arrived': { go: 'connected' },
      'early-receiver-lost': ignored,
      'body-began': ignored,
      delivered: ignored,
      expired: close('expired'),
      'sender-lost': close('sender-lost'),
      'receiver-lost': ignored,
      'bad-request': close('bad-request'),
      'no-file-in-form': close('no-file-in-form'),
      'too-large': ignored,
      stalled: ignored,
      'internal-error': ignored,
      cancelled: close('cancelled'),
      'shutting-down': close('shutting-down'),
    },
  },
  connected: {
    enter: ['take-receiver', 'join-relay', 'report-receiver', 'start-relay'],
    leave: [],
    on: {
      // The same as in `waiting`. The receiver notices nothing.
      'sender-arrived': { stay: ['take-sender', 'join-relay', 'start-relay'] },
      'receiver-arrived': { refuse: 'busy' },
      'early-receiver-lost': ignored,
      'body-began': { go: 'streaming' },
      delivered: ignored,
      // The TTL is for waiting: a receiver that came in time is served, however long that takes.
      expired: ignored,
      ...FAILS_BETWEEN_TWO,
    },
  },
  streaming: {
    enter: [],
    leave: [],
    on: {
      'sender-arrived': { refuse: 'already-open' },
      'receiver-arrived': { refuse: 'busy' },
      'early-receiver-lost': ignored,
      'body-began': ignored,
      delivered: close('delivered'),
      expired: ignored,
      ...FAILS_BETWEEN_TWO,
    },
  },
  closed: {
    enter: ['clear-ttl', 'stop-relay', 'fail-receiver', 'release-sender', 'tell-verdict', 'report-end'],
    leave: [],
    on: {
      'sender-arrived': { refuse: 'gone' },
      'receiver-arrived': { refuse: 'gone' },
      'early-receiver-lost': ignored,
      'body-began': ignored,
      delivered: ignored,
      expired: ignored,
      'sender-lost': ignored,
      'receiver-lost': ignored,
      'bad-request': ignored,
      'no-file-in-form': ignored,
      'too-large': ignored,
      stalled: ignored,
      'internal-error': ignored,
      cancelled: ignored,
      'shutting-down': ignored,
    },
  },
} as const satisfies Record<Stage, StageRules>

/** What follows from `input` in this stage. */
export function nextStep(stage: Stage, input: Input): Step {
  return TABLE[stage].on[input]
}

/** What is done when this stage is entered and left. */
export function effectsOf(stage: Stage): Pick<StageRules, 'enter' | 'leave'> {
  return TABLE[stage]
}
