import type { ProblemCode } from '../shared/index.js'

/** Where one socket is in its life. */
export type Phase = 'waiting' | 'streaming' | 'closed'

/** How a socket ended: well, or by the problem both sides are told. */
export type Outcome = 'delivered' | Extract<ProblemCode, Exclude<Input, 'receiver-arrived' | 'delivered'>>

/** What can happen to a socket, from whichever side. */
export type Input =
  | 'receiver-arrived'
  | 'delivered'
  | 'expired'
  | 'sender-lost'
  | 'receiver-lost'
  | 'bad-request'
  | 'too-large'
  | 'stalled'
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
 * The whole life of a socket. A sender's request opens it in `waiting`.
 *
 * ```
 *              receiver-arrived                delivered
 *  (opened) ──► waiting ───────────► streaming ───────────► closed(delivered)
 *                  │                     │
 *                  │ expired             │ sender-lost, receiver-lost,
 *                  │ sender-lost         │ bad-request, too-large,
 *                  │ bad-request         │ stalled, shutting-down
 *                  │ shutting-down       │
 *                  ▼                     ▼
 *               closed(that problem)  closed(that problem)
 * ```
 *
 * An input that comes late is normal (two things end at the same moment) and is written down as ignored.
 */
const TABLE = {
  waiting: {
    'receiver-arrived': { go: 'streaming' },
    delivered: ignored,
    expired: close('expired'),
    'sender-lost': close('sender-lost'),
    'receiver-lost': ignored,
    'bad-request': close('bad-request'),
    'too-large': ignored,
    stalled: ignored,
    'shutting-down': close('shutting-down'),
  },
  streaming: {
    'receiver-arrived': { refuse: 'busy' },
    delivered: close('delivered'),
    // The TTL is for waiting: a receiver that came in time is served however long it takes.
    expired: ignored,
    'sender-lost': close('sender-lost'),
    'receiver-lost': close('receiver-lost'),
    'bad-request': close('bad-request'),
    'too-large': close('too-large'),
    stalled: close('stalled'),
    'shutting-down': close('shutting-down'),
  },
  closed: {
    'receiver-arrived': { refuse: 'gone' },
    delivered: ignored,
    expired: ignored,
    'sender-lost': ignored,
    'receiver-lost': ignored,
    'bad-request': ignored,
    'too-large': ignored,
    stalled: ignored,
    'shutting-down': ignored,
  },
} as const satisfies Record<Phase, Record<Input, Step>>

/** The one function over the one table. */
export function nextStep(phase: Phase, input: Input): Step {
  return TABLE[phase][input]
}
