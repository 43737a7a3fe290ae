import { EssError, type ProblemCode } from '../../shared/index.js'
import { Patience } from './patience.js'

/** A person waits for it. Another node answers at once, and a server that is started again within seconds. */
const PATIENCE_MS = 10_000
const LONGEST_PAUSE_MS = 2_000

/** With these, the server that was asked is away for a moment: it stops, or a proxy or another node can't reach it. */
export const AWAY: readonly ProblemCode[] = ['shutting-down', 'node-away']

/**
 * Asks for the first time, and again for some seconds while the server is away. Rejects as `ask` does, or with what
 * `signal` was aborted with.
 */
export async function untilBack<Value>(signal: AbortSignal, ask: () => Promise<Value>): Promise<Value> {
  const patience = new Patience(PATIENCE_MS, LONGEST_PAUSE_MS)
  let wasThere = false
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      const isAway = AWAY.includes(error.code)
      wasThere ||= isAway
      // A server that was never reached says nothing of another try.
      const mayPass = isAway || (wasThere && error.code === 'server-unreachable')
      if (!mayPass || patience.isOver) throw error
      await patience.pause(signal)
    }
  }
}
