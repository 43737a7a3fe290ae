import type { ProblemCode } from '../../shared/index.js'

/** Where one socket is in its life. */
export type Phase = 'reserved' | 'waiting' | 'streaming' | 'closed'

/** How a socket ended: well, or by the problem both sides are told. */
export type Outcome =
  | 'delivered'
  | Extract<ProblemCode, Exclude<Input, 'sender-arrived' | 'sender-moved' | 'receiver-arrived' | 'delivered'>>

/** What can happen to a socket, from whichever side. */
export type Input =
  | 'sender-arrived'
  | 'sender-moved'
  | 'receiver-arrived'
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

/** What follows from an input: another phase, the end, a refusal for whoever asked, or nothing. */
export type Step =
  | { readonly go: Exclude<Phase, 'closed'> }
  | { readonly close: Outcome }
  | { readonly refuse: ProblemCode }
  | 'ignored'

const ignored = 'ignored'
const close = (outcome: Outcome): Step => ({ close: outcome })

/**
 * The whole life of a socket. A sender's request opens it in `waiting`, a reservation in `reserved`.
 *
 * ```
 *  (reserved) ──► reserved
 *                    │ sender-arrived
 *                    ▼          receiver-arrived              delivered
 *   (opened) ──► waiting ─────────────────► streaming ───────────► closed(delivered)
 *                    │                          │
 *                    │ sender-lost, expired,    │ sender-lost, receiver-lost, bad-request,
 *                    │ bad-request, cancelled,  │ no-file-in-form, too-large, stalled,
 *                    │ shutting-down, …         │ internal-error, cancelled, shutting-down
 *                    ▼                          ▼
 *            closed(that problem)       closed(that problem)
 * ```
 *
 * An input that comes late is normal (two things end at the same moment) and is written down as ignored.
 */
const TABLE = {
  reserved: {
    'sender-arrived': { go: 'waiting' },
    'sender-moved': ignored,
    // A receiver that comes before its sender waits, and does not burn the reservation: the service's to do.
    'receiver-arrived': ignored,
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
  waiting: {
    'sender-arrived': { refuse: 'already-open' },
    'sender-moved': { go: 'waiting' },
    'receiver-arrived': { go: 'streaming' },
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
  streaming: {
    'sender-arrived': { refuse: 'already-open' },
    'sender-moved': { go: 'streaming' },
    'receiver-arrived': { refuse: 'busy' },
    delivered: close('delivered'),
    // The TTL is for waiting: a receiver that came in time is served however long it takes.
    expired: ignored,
    'sender-lost': close('sender-lost'),
    'receiver-lost': close('receiver-lost'),
    'bad-request': close('bad-request'),
    'no-file-in-form': close('no-file-in-form'),
    'too-large': close('too-large'),
    stalled: close('stalled'),
    'internal-error': close('internal-error'),
    cancelled: close('cancelled'),
    'shutting-down': close('shutting-down'),
  },
  closed: {
    'sender-arrived': { refuse: 'gone' },
    'sender-moved': { refuse: 'gone' },
    'receiver-arrived': { refuse: 'gone' },
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
} as const satisfies Record<Phase, Record<Input, Step>>

/** The one function over the one table. */
export function nextStep(phase: Phase, input: Input): Step {
  return TABLE[phase][input]
}
