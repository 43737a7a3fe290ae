import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Input,
  nextStep,
  type Outcome,
  type Stage,
  type Step,
} from '../../../server/broker/lifecycle.js'
import { isProblemCode } from '../../../shared/index.js'

/**
 * The whole table once more, in words: an arrow is the next phase, "=" what is done without
 * leaving, a word an outcome, "!" a refusal, "-" nothing.
 */
const TABLE: Readonly<Record<Stage, Readonly<Record<Input, string>>>> = {
  reserved: {
    'sender-arrived': '> waiting',
    'receiver-arrived': '= hold-receiver',
    'early-receiver-lost': '= let-receiver-go',
    'body-began': '-',
    delivered: '-',
    expired: 'expired',
    'sender-lost': '-',
    'receiver-lost': '-',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
  },
  waiting: {
    'sender-arrived': '= take-sender, watch-sender',
    'receiver-arrived': '> connected',
    'early-receiver-lost': '-',
    'body-began': '-',
    delivered: '-',
    expired: 'expired',
    'sender-lost': 'sender-lost',
    'receiver-lost': '-',
    'bad-request': 'bad-request',
    'no-file-in-form': 'no-file-in-form',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
  },
  connected: {
    'sender-arrived': '= take-sender, join-relay, start-relay',
    'receiver-arrived': '! busy',
    'early-receiver-lost': '-',
    'body-began': '> streaming',
    delivered: '-',
    expired: '-',
    'sender-lost': 'sender-lost',
    'receiver-lost': 'receiver-lost',
    'bad-request': 'bad-request',
    'no-file-in-form': 'no-file-in-form',
    'too-large': 'too-large',
    stalled: 'stalled',
    'internal-error': 'internal-error',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
  },
  streaming: {
    'sender-arrived': '! already-open',
    'receiver-arrived': '! busy',
    'early-receiver-lost': '-',
    'body-began': '-',
    delivered: 'delivered',
    expired: '-',
    'sender-lost': 'sender-lost',
    'receiver-lost': 'receiver-lost',
    'bad-request': 'bad-request',
    'no-file-in-form': 'no-file-in-form',
    'too-large': 'too-large',
    stalled: 'stalled',
    'internal-error': 'internal-error',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
  },
  closed: {
    'sender-arrived': '! gone',
    'receiver-arrived': '! gone',
    'early-receiver-lost': '-',
    'body-began': '-',
    delivered: '-',
    expired: '-',
    'sender-lost': '-',
    'receiver-lost': '-',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: '-',
    'shutting-down': '-',
  },
}

// Object.keys gives string[]; the table's type makes it complete.
const STAGES = Object.keys(TABLE) as Stage[]
const INPUTS = Object.keys(TABLE.waiting) as Input[]

function inWords(step: Step): string {
  if (step === 'ignored') return '-'
  if ('go' in step) return `> ${step.go}`
  if ('stay' in step) return `= ${step.stay.join(', ')}`
  return 'close' in step ? step.close : `! ${step.refuse}`
}

test.each(STAGES.flatMap((stage) => INPUTS.map((input) => ({ stage, input }))))(
  '$input in $stage leads where the protocol says',
  ({ stage, input }) => {
    expect(inWords(nextStep(stage, input))).toBe(TABLE[stage][input])
  },
)

/** Where a socket begins: by a sender's request, or by a reservation. */
const BEGINNINGS = ['waiting', 'reserved'] as const

/** What becomes of a socket by some inputs: its stage, and how it ended, each time it did. */
function live(beginning: Stage, inputs: readonly Input[]): { stage: Stage; outcomes: Outcome[] } {
  let stage = beginning
  const outcomes: Outcome[] = []
  for (const input of inputs) {
    const step: Step = nextStep(stage, input)
    if (typeof step === 'string' || 'refuse' in step || 'stay' in step) continue
    if ('go' in step) stage = step.go
    else {
      stage = 'closed'
      outcomes.push(step.close)
    }
  }
  return { stage, outcomes }
}

const beginnings = fc.constantFrom(...BEGINNINGS)
const inputs = fc.array(fc.constantFrom(...INPUTS), { maxLength: 20 })

test('after any inputs in any order, a socket has ended at most once, and for good', () => {
  fc.assert(
    fc.property(beginnings, inputs, inputs, (beginning, before, after) => {
      const first = live(beginning, before)
      expect(first.outcomes).toHaveLength(first.stage === 'closed' ? 1 : 0)
      if (first.stage === 'closed') expect(live(beginning, [...before, ...after])).toEqual(first)
    }),
  )
})

test('a socket delivers only when a sender and a receiver came, and never twice', () => {
  fc.assert(
    fc.property(beginnings, inputs, (beginning, all) => {
      const { outcomes } = live(beginning, all)
      if (!outcomes.includes('delivered')) return
      expect(all).toContain('receiver-arrived')
      expect(all).toContain('body-began')
      if (beginning === 'reserved') expect(all).toContain('sender-arrived')
      expect(outcomes).toEqual(['delivered'])
    }),
  )
})

test('every stage can be reached, and every outcome is a problem with a code, or delivered', () => {
  const reached = new Set<Stage>(BEGINNINGS)
  const outcomes = new Set<string>()
  // A set gives what is added to it while it is walked.
  for (const stage of reached) {
    for (const input of INPUTS) {
      const step = nextStep(stage, input)
      if (typeof step === 'string') continue
      if ('go' in step) reached.add(step.go)
      if ('refuse' in step) expect(isProblemCode(step.refuse)).toBe(true)
      if ('close' in step) {
        reached.add('closed')
        outcomes.add(step.close)
      }
    }
  }
  expect(reached).toEqual(new Set(STAGES))
  // Each input but these is the name of the outcome it leads to.
  const moves = new Set<Input>(['sender-arrived', 'receiver-arrived', 'early-receiver-lost', 'body-began'])
  expect(outcomes).toEqual(new Set(INPUTS.filter((input) => !moves.has(input))))
  for (const outcome of outcomes)
    expect(outcome === 'delivered' || isProblemCode(outcome), outcome).toBe(true)
})
