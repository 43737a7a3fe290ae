import type { Random } from './random.js'

/** How a peer leaves: it resets its connection, closes it, or stays and does nothing more. */
export type CutKind = 'reset' | 'close' | 'stall'

/** Where one peer of a transfer is cut. */
export interface Cut {
  readonly peer: 'sender' | 'receiver'
  readonly kind: CutKind
  /** After so many bytes of the body; always fewer than it has. */
  readonly at: number
}

/** One transfer, decided beforehand. */
export interface Plan {
  readonly isReserved: boolean
  readonly isLengthKnown: boolean
  /** Where its bytes begin in what all bodies are cut from. */
  readonly offset: number
  readonly bytes: number
  /** Bytes a second; undefined for as fast as it goes. */
  readonly senderRate: number | undefined
  readonly receiverRate: number | undefined
  readonly cut: Cut | undefined
  /** A reservation's receiver may come before its sender. */
  readonly isReceiverFirst: boolean
  /** Before the later peer comes. */
  readonly delayMs: number
}

export const MAX_BYTES = 4 * 1024 * 1024
/** Each peer is cut with this probability. */
const CUT_PROBABILITY = 0.05
/** Longer than this no transfer should take that is not cut, so that a run has an end. */
const SLOWEST_SECONDS = 10
/** A kernel tells a sender of new room only in large steps: slower than this, a reader looks as if it stalled. */
const MIN_RECEIVER_RATE = 32 * 1024
const MIN_SENDER_RATE = 2 * 1024

/** Draws the next transfer. */
export function drawPlan(random: Random): Plan {
  const senderCut = random.chance(CUT_PROBABILITY)
  const receiverCut = random.chance(CUT_PROBABILITY)
  const isCut = senderCut || receiverCut
  // By its magnitude: there are as many between 1 and 2 KiB as between 1 and 2 MiB.
  const magnitude = Math.floor(2 ** (random.next() * Math.log2(MAX_BYTES + 1)))
  const bytes = Math.max(isCut ? 1 : 0, Math.min(magnitude - 1, MAX_BYTES))
  const slow = random.pick(['nobody', 'nobody', 'sender', 'receiver', 'both'])
  const rate = (isSlow: boolean, least: number) =>
    isSlow
      ? Math.max(Math.ceil(bytes / SLOWEST_SECONDS), Math.floor(least * 2 ** (4 * random.next())))
      : undefined
  return {
    isReserved: random.chance(0.4),
    isLengthKnown: random.chance(0.6),
    offset: random.between(0, MAX_BYTES),
    bytes,
    senderRate: rate(slow === 'sender' || slow === 'both', MIN_SENDER_RATE),
    receiverRate: rate(slow === 'receiver' || slow === 'both', MIN_RECEIVER_RATE),
    cut: isCut
      ? {
          peer: senderCut ? 'sender' : 'receiver',
          kind: random.pick(['reset', 'close', 'stall']),
          at: random.between(0, bytes - 1),
        }
      : undefined,
    isReceiverFirst: random.chance(0.5),
    delayMs: random.between(0, 200),
  }
}
