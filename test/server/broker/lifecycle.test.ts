import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Effect,
  effectsOf,
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
    'receiver-returned': '-',
    'early-receiver-lost': '= let-receiver-go',
    'body-began': '-',
    'piece-taken': '-',
    delivered: '-',
    expired: 'expired',
    'sender-interrupted': '-',
    'receiver-interrupted': '-',
    'return-expired': '-',
    'sender-lost': '-',
    'receiver-lost': '-',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '> absent',
    'reopened-midway': '> both-away',
  },
  waiting: {
    'sender-arrived': '= take-sender, watch-sender',
    'receiver-arrived': '> connected',
    'receiver-returned': '-',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: '-',
    expired: 'expired',
    'sender-interrupted': '> absent',
    'receiver-interrupted': '-',
    'return-expired': '-',
    'sender-lost': 'sender-lost',
    'receiver-lost': '-',
    'bad-request': 'bad-request',
    'no-file-in-form': 'no-file-in-form',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  connected: {
    'sender-arrived': '= take-sender, join-relay, start-relay',
    'receiver-arrived': '! busy',
    'receiver-returned': '> rewinding',
    'early-receiver-lost': '-',
    'body-began': '> streaming',
    'piece-taken': '-',
    delivered: '-',
    expired: '-',
    'sender-interrupted': '> sender-away',
    'receiver-interrupted': '> receiver-away',
    'return-expired': '-',
    'sender-lost': 'sender-lost',
    'receiver-lost': 'receiver-lost',
    'bad-request': 'bad-request',
    'no-file-in-form': 'no-file-in-form',
    'too-large': 'too-large',
    stalled: 'stalled',
    'internal-error': 'internal-error',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  streaming: {
    'sender-arrived': '! already-open',
    'receiver-arrived': '! busy',
    'receiver-returned': '> rewinding',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '> between',
    delivered: 'delivered',
    expired: '-',
    'sender-interrupted': '> sender-away',
    'receiver-interrupted': '> receiver-away',
    'return-expired': '-',
    'sender-lost': 'sender-lost',
    'receiver-lost': 'receiver-lost',
    'bad-request': 'bad-request',
    'no-file-in-form': 'no-file-in-form',
    'too-large': 'too-large',
    stalled: 'stalled',
    'internal-error': 'internal-error',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  between: {
    'sender-arrived': '> connected',
    'receiver-arrived': '! busy',
    'receiver-returned': '> rewinding',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: 'delivered',
    expired: '-',
    'sender-interrupted': '-',
    'receiver-interrupted': '> both-away',
    'return-expired': 'sender-lost',
    'sender-lost': '-',
    'receiver-lost': 'receiver-lost',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': 'internal-error',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  absent: {
    'sender-arrived': '> waiting',
    'receiver-arrived': '> rewinding',
    'receiver-returned': '-',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: '-',
    expired: 'expired',
    'sender-interrupted': '-',
    'receiver-interrupted': '-',
    'return-expired': 'sender-lost',
    'sender-lost': '-',
    'receiver-lost': '-',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  'sender-away': {
    'sender-arrived': '> connected',
    'receiver-arrived': '! busy',
    'receiver-returned': '> rewinding',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: 'delivered',
    expired: '-',
    'sender-interrupted': '-',
    'receiver-interrupted': '> both-away',
    'return-expired': 'sender-lost',
    'sender-lost': '-',
    'receiver-lost': 'receiver-lost',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': 'internal-error',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  rewinding: {
    'sender-arrived': '> connected',
    'receiver-arrived': '! busy',
    'receiver-returned': '> rewinding',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: '-',
    expired: '-',
    'sender-interrupted': '-',
    'receiver-interrupted': '> both-away',
    'return-expired': 'sender-lost',
    'sender-lost': '-',
    'receiver-lost': 'receiver-lost',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': 'internal-error',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  'receiver-away': {
    'sender-arrived': '! already-open',
    'receiver-arrived': '> rewinding',
    'receiver-returned': '-',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: 'delivered',
    expired: '-',
    'sender-interrupted': '> both-away',
    'receiver-interrupted': '-',
    'return-expired': 'receiver-lost',
    'sender-lost': '-',
    'receiver-lost': 'receiver-lost',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  'both-away': {
    'sender-arrived': '> receiver-away',
    'receiver-arrived': '> rewinding',
    'receiver-returned': '-',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: 'delivered',
    expired: '-',
    'sender-interrupted': '-',
    'receiver-interrupted': '-',
    'return-expired': 'sender-lost',
    'sender-lost': '-',
    'receiver-lost': 'receiver-lost',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: 'cancelled',
    'shutting-down': 'shutting-down',
    moved: 'moved',
    reopened: '-',
    'reopened-midway': '-',
  },
  closed: {
    'sender-arrived': '! gone',
    'receiver-arrived': '! gone',
    'receiver-returned': '-',
    'early-receiver-lost': '-',
    'body-began': '-',
    'piece-taken': '-',
    delivered: '-',
    expired: '-',
    'sender-interrupted': '-',
    'receiver-interrupted': '-',
    'return-expired': '-',
    'sender-lost': '-',
    'receiver-lost': '-',
    'bad-request': '-',
    'no-file-in-form': '-',
    'too-large': '-',
    stalled: '-',
    'internal-error': '-',
    cancelled: '-',
    'shutting-down': '-',
    moved: '-',
    reopened: '-',
    'reopened-midway': '-',
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
      const has = (...some: readonly Input[]) => some.some((input) => all.includes(input))
      // At another node, both had come already, or the sender.
      expect(has('receiver-arrived', 'reopened-midway')).toBe(true)
      // Its first byte, or the loss of a sender that had sent them all, or of a receiver that had got them.
      const lost = ['sender-interrupted', 'receiver-interrupted'] as const
      expect(has('body-began', ...lost, 'reopened', 'reopened-midway')).toBe(true)
      if (beginning === 'reserved') expect(has('sender-arrived', 'reopened', 'reopened-midway')).toBe(true)
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
  const moves = new Set<Input>([
    'reopened',
    'reopened-midway',
    'sender-arrived',
    'receiver-arrived',
    'receiver-returned',
    'early-receiver-lost',
    'body-began',
    'piece-taken',
    'sender-interrupted',
    'receiver-interrupted',
    'return-expired',
  ])
  expect(outcomes).toEqual(new Set(INPUTS.filter((input) => !moves.has(input))))
  for (const outcome of outcomes)
    expect(outcome === 'delivered' || isProblemCode(outcome), outcome).toBe(true)
})

/** What a socket holds while it lives, as its effects leave it. */
interface Holdings {
  isTtlArmed: boolean
  isReturnArmed: boolean
  isSenderWatched: boolean
  hasReceiver: boolean
  isReported: boolean
}

/** What each effect does to these; the others do nothing to them. */
const HOLDS: Readonly<Partial<Record<Effect, (held: Holdings) => void>>> = {
  'arm-ttl': (held) => {
    held.isTtlArmed = true
  },
  'clear-ttl': (held) => {
    held.isTtlArmed = false
  },
  'arm-return': (held) => {
    expect(held.isReturnArmed, 'two timers at once').toBe(false)
    held.isReturnArmed = true
  },
  'clear-return': (held) => {
    expect(held.isReturnArmed, 'a timer that was cleared before').toBe(true)
    held.isReturnArmed = false
  },
  'watch-sender': (held) => {
    held.isSenderWatched = true
  },
  'unwatch-sender': (held) => {
    held.isSenderWatched = false
  },
  'lose-sender': (held) => {
    held.isSenderWatched = false
  },
  'take-receiver': (held) => {
    held.hasReceiver = true
  },
  'lose-receiver': (held) => {
    held.hasReceiver = false
  },
  'report-end': (held) => {
    expect(held.isReported, 'two ends').toBe(false)
    held.isReported = true
  },
}

const MOVES: readonly Input[] = [
  'sender-arrived',
  'receiver-arrived',
  'receiver-returned',
  'body-began',
  'piece-taken',
  'sender-interrupted',
  'receiver-interrupted',
]

/** Long lives: seldom does an input come that may end them. */
const longLives = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...MOVES) },
    { weight: 1, arbitrary: fc.constantFrom(...INPUTS) },
  ),
  { minLength: 10, maxLength: 60, size: 'max' },
)

test('after any inputs, every arrow taken, no timer is left, and nobody waits who is not waited for', () => {
  const taken = new Set<string>()
  fc.assert(
    fc.property(beginnings, longLives, (beginning, all) => {
      let stage: Stage = beginning
      const held: Holdings = {
        isTtlArmed: beginning === 'waiting',
        isReturnArmed: false,
        isSenderWatched: false,
        hasReceiver: false,
        isReported: false,
      }
      const run = (effects: readonly Effect[]) => {
        for (const effect of effects) HOLDS[effect]?.(held)
      }
      run(effectsOf(stage).enter)
      for (const input of all) {
        const step = nextStep(stage, input)
        if (step !== 'ignored') taken.add(`${input} in ${stage}`)
        if (step === 'ignored' || 'refuse' in step) continue
        if ('stay' in step) {
          run(step.stay)
          continue
        }
        run(effectsOf(stage).leave)
        stage = 'close' in step ? 'closed' : step.go
        run(effectsOf(stage).enter)
        const isAway = [
          'between',
          'absent',
          'sender-away',
          'rewinding',
          'receiver-away',
          'both-away',
        ].includes(stage)
        expect(held.isReturnArmed, stage).toBe(isAway)
        expect(held.isSenderWatched, stage).toBe(stage === 'waiting' || stage === 'receiver-away')
        if (['connected', 'between', 'sender-away', 'rewinding'].includes(stage))
          expect(held.hasReceiver, stage).toBe(true)
        if (['absent', 'receiver-away', 'both-away'].includes(stage))
          expect(held.hasReceiver, stage).toBe(false)
        if (stage === 'closed') expect(held).toMatchObject({ isTtlArmed: false, isReported: true })
      }
    }),
    { numRuns: 20_000 },
  )
  const arrows = STAGES.flatMap((stage) =>
    INPUTS.filter((input) => nextStep(stage, input) !== 'ignored').map((input) => `${input} in ${stage}`),
  )
  expect([...taken].sort()).toEqual(arrows.sort())
})
