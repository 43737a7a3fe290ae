import { EssError, fromProblem, type StatusEvent, type TerminalEvent } from '../../shared/index.js'
import type { Facts } from '../facts.js'
import { sayLastWord } from '../http/last-word.js'
import type { Line } from '../ui/terminal.js'
import { receiverLines, receiverLink } from './link.js'
import type { Parcel } from './parcel.js'
import { reserve } from './reservation.js'
import { cancel } from './resource.js'
import { type Sendable, seal } from './sendable.js'
import { Upload } from './upload.js'

/** A link that can be given away. */
export interface Offer {
  readonly link: string
  readonly lines: readonly Line[]
  /** Milliseconds since 1970, by this machine's clock. */
  readonly expiresAt: number
}

/** What is told while a transfer goes on. Bytes in events are those that go over the wire. */
export interface Listener {
  onOffer(offer: Offer): void
  onEvent(event: StatusEvent): void
}

/** How a transfer is made. */
export interface TransferOptions {
  readonly isSealed: boolean
  readonly token: string | undefined
  readonly signal: AbortSignal
}

/** A good ending. */
export interface Delivery {
  readonly isConfirmed: boolean
}

/**
 * Sends a parcel: makes a link for it, and brings its bytes when a receiver has come. Resolves when the server says that it is
 * delivered. Throws EssError, or what `signal` was aborted with; then the receiver is told at once.
 */
export async function transfer(
  facts: Facts,
  parcel: Parcel,
  { isSealed, token, signal }: TransferOptions,
  listener: Listener,
): Promise<Delivery> {
  const sendable: Sendable = isSealed ? await seal(parcel) : parcel
  const reservation = await reserve(facts, sendable, token, signal)
  const { id, expiresAt } = reservation
  const upload = new Upload({ facts, sendable, token }, reservation, (event) => listener.onEvent(event))
  // Nothing of the page is left to come back. Some people have a browser that lets no last word out.
  const leave = () => {
    sayLastWord(upload.resource.closed)
    void cancel(upload.resource)
  }
  window.addEventListener('pagehide', leave)
  try {
    const link = receiverLink(facts, id, sendable)
    listener.onOffer({ link, lines: receiverLines(facts, id, link, parcel, isSealed), expiresAt })
    return deliveryOf(await upload.run(signal))
  } catch (error) {
    if (isOurs(error)) void cancel(upload.resource)
    throw error
  } finally {
    window.removeEventListener('pagehide', leave)
  }
}

/** Endings that are ours: the server still waits. All others are its own word, or it can't be told. */
const OURS: readonly string[] = [
  'file-changed',
  'file-unreadable',
  'interrupted',
  'too-large',
  'connection-lost',
]

function isOurs(error: unknown): boolean {
  return !(error instanceof EssError) || OURS.includes(error.code)
}

function deliveryOf(verdict: TerminalEvent): Delivery {
  if (verdict.event === 'delivered') return { isConfirmed: verdict.confirmed }
  throw fromProblem(verdict.problem, 'internal-error') ?? new EssError('internal-error')
}
