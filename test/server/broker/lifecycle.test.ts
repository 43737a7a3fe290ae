import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Input,
  nextStep,
  type Outcome,
  type Phase,
  type Step,
} from '../../../server/broker/lifecycle.js'
import { isProblemCode } from '../../../shared/index.js'

/** The whole table once more, in words: an arrow is the next phase, a word an outcome, "!" a refusal, "-" nothing. */
const TABLE: Readonly<Record<Phase, Readonly<Record<Input, string>>>> = {
  reserved: {
    'sender-arrived': '> waiting',
    'sender-moved': '-',
    'receiver-arrived': '-',
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
    'sender-arrived': '! already-open',
    'sender-moved': '> waiting',
    'receiver-arrived': '> streaming',
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
  streaming: {
    'sender-arrived': '! already-open',
    'sender-moved': '> streaming',
    'receiver-arrived': '! busy',
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
    'sender-moved': '! gone',
    'receiver-arrived': '! gone',
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
const PHASES = Object.keys(TABLE) as Phase[]
const INPUTS = Object.keys(TABLE.waiting) as Input[]

function inWords(step: Step): string {
  if (step === 'ignored') return '-'
  if ('go' in step) return `> ${step.go}`
  return 'close' in step ? step.close : `! ${step.refuse}`
}

test.each(PHASES.flatMap((phase) => INPUTS.map((input) => ({ phase, input }))))(
  '$input in $phase leads where the protocol says',
  ({ phase, input }) => {
    expect(inWords(nextStep(phase, input))).toBe(TABLE[phase][input])
  },
)

/** Where a socket begins: by a sender's request, or by a reservation. */
const BEGINNINGS = ['waiting', 'reserved'] as const

/** What becomes of a socket by some inputs: its phase, and how it ended, each time it did. */
function live(beginning: Phase, inputs: readonly Input[]): { phase: Phase; outcomes: Outcome[] } {
  let phase = beginning
  const outcomes: Outcome[] = []
  for (const input of inputs) {
    const step: Step = nextStep(phase, input)
    if (typeof step === 'string' || 'refuse' in step) continue
    if ('go' in step) phase = step.go
    else {
      phase = 'closed'
      outcomes.push(step.close)
    }
  }
  return { phase, outcomes }
}

const beginnings = fc.constantFrom(...BEGINNINGS)
const inputs = fc.array(fc.constantFrom(...INPUTS), { maxLength: 20 })

test('whatever happens, and in whatever order, a socket ends at most once, and then for good', () => {
  fc.assert(
    fc.property(beginnings, inputs, inputs, (beginning, before, after) => {
      const first = live(beginning, before)
      expect(first.outcomes).toHaveLength(first.phase === 'closed' ? 1 : 0)
      if (first.phase === 'closed') expect(live(beginning, [...before, ...after])).toEqual(first)
    }),
  )
})

test('a socket delivers only when a sender and a receiver came, and never twice', () => {
  fc.assert(
    fc.property(beginnings, inputs, (beginning, all) => {
      const { outcomes } = live(beginning, all)
      if (!outcomes.includes('delivered')) return
      expect(all).toContain('receiver-arrived')
      if (beginning === 'reserved') expect(all).toContain('sender-arrived')
      expect(outcomes).toEqual(['delivered'])
    }),
  )
})

test('every phase can be reached, and every outcome is a problem with a code, or delivered', () => {
  const reached = new Set<Phase>(BEGINNINGS)
  const outcomes = new Set<string>()
  // A set gives what is added to it while it is walked.
  for (const phase of reached) {
    for (const input of INPUTS) {
      const step = nextStep(phase, input)
      if (typeof step === 'string') continue
      if ('go' in step) reached.add(step.go)
      if ('refuse' in step) expect(isProblemCode(step.refuse)).toBe(true)
      if ('close' in step) {
        reached.add('closed')
        outcomes.add(step.close)
      }
    }
  }
  expect(reached).toEqual(new Set(PHASES))
  // Each input but an arrival is the name of the outcome it leads to.
  const arrivals = new Set<Input>(['sender-arrived', 'sender-moved', 'receiver-arrived'])
  expect(outcomes).toEqual(new Set(INPUTS.filter((input) => !arrivals.has(input))))
  for (const outcome of outcomes)
    expect(outcome === 'delivered' || isProblemCode(outcome), outcome).toBe(true)
})
