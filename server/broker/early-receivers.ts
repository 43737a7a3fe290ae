import type { IncomingMessage } from 'node:http'
import type { ClientLimits } from '../limits/client-limits.js'
import type { Exchange } from './exchange.js'
import type { Registry } from './registry.js'
import type { EphemeralSocket } from './socket.js'

/** Receivers that come before their link exists, or before its sender is there. Each wait counts for its client. */
export class EarlyReceivers {
  readonly #registry: Registry
  readonly #limits: ClientLimits

  constructor(registry: Registry, limits: ClientLimits) {
    this.#registry = registry
    this.#limits = limits
  }

  /**
   * Waits until a socket with this id is there, for at most `waitMs`. Throws EssError `over-share`, or
   * `too-many-sockets` when too many wait.
   */
  async awaitSocket(id: string, waitMs: number, request: IncomingMessage): Promise<void> {
    const giveBack = this.#limits.take('waiting', request)
    await untilLeft(request, (left) => this.#registry.appears(id, waitMs, left)).finally(giveBack)
  }

  /**
   * Waits until the sender of a reservation is there, until the reservation has ended, or until `waitMs` have passed. A
   * receiver that leaves meanwhile uses nothing up. Throws EssError `busy` or `over-share`.
   */
  async awaitSender(
    socket: EphemeralSocket,
    { request, response }: Exchange,
    waitMs?: number,
  ): Promise<void> {
    socket.receive(request, response)
    try {
      const giveBack = this.#limits.take('waiting', request)
      await untilLeft(request, (left) => socket.senderCameOr(left), waitMs).finally(giveBack)
    } finally {
      socket.loseEarlyReceiver()
    }
  }
}

/** Runs `wait` with a signal that is aborted when this request's peer leaves, and when `waitMs` have passed. */
async function untilLeft(
  request: IncomingMessage,
  wait: (left: AbortSignal) => Promise<void>,
  waitMs?: number,
): Promise<void> {
  const left = new AbortController()
  const leave = () => left.abort()
  request.socket.once('close', leave)
  const deadline = waitMs === undefined ? undefined : setTimeout(leave, waitMs)
  try {
    await wait(left.signal)
  } finally {
    request.socket.off('close', leave)
    clearTimeout(deadline)
  }
}
