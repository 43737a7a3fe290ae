import { constants, open, stat } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { EssError } from '../../shared/index.js'
import { codeOf } from '../node/errno-words.js'

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
const openPath = promisify(open)

/** How often a FIFO is looked at for a reader. */
const POLL_MS = 50

/**
 * Opens `path` to read from it. open(2) of a FIFO waits for a writer, and a read from a device for bytes, in a thread
 * that nothing can interrupt and that holds up the end of the process; so neither is left to wait there.
 */
export async function openToRead(path: string | Buffer): Promise<number> {
  const stats = await promisify(stat)(path)
  // A reader that came first waits for its writer on Linux; elsewhere it could be told that the end is here.
  const mayNotWait = stats.isCharacterDevice() || (stats.isFIFO() && process.platform === 'linux')
  return await openPath(path, mayNotWait ? O_RDONLY | O_NONBLOCK : O_RDONLY)
}

/**
 * Opens a FIFO to write to it, when it has a reader. Throws EssError `interrupted`, and the system's errors.
 */
export async function openWhenRead(path: string, signal: AbortSignal | undefined): Promise<Writable> {
  for (;;) {
    try {
      const fd = await openPath(path, O_WRONLY | O_NONBLOCK)
      return new Socket({ fd, readable: false, writable: true })
    } catch (error) {
      if (codeOf(error) !== 'ENXIO') throw error
    }
    await delay(POLL_MS, undefined, { ...(signal && { signal }) }).catch((cause: unknown) => {
      throw new EssError('interrupted', 'Stopped before the FIFO had a reader', { cause })
    })
  }
}
