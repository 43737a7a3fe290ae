import { constants, open, stat } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { EssError } from '../../shared/index.js'
import { codeOf } from '../node/errno-words.js'

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
const openPath = promisify(open)

/** How often we check whether a FIFO has a reader. */
const POLL_MS = 50

/**
 * Opens `path` for reading. open(2) of a FIFO waits for a writer, and a read from a device waits for bytes. Both wait
 * in a thread that can't be interrupted and that holds up the end of the process, so we let neither wait there.
 */
export async function openToRead(path: string | Buffer): Promise<number> {
  const stats = await promisify(stat)(path)
  // On Linux a reader that comes first waits for its writer. Elsewhere it could read an end at once.
  const mayNotWait = stats.isCharacterDevice() || (stats.isFIFO() && process.platform === 'linux')
  return await openPath(path, mayNotWait ? O_RDONLY | O_NONBLOCK : O_RDONLY)
}

/** Opens a FIFO for writing, once it has a reader. Throws EssError `interrupted`, or the system's own error. */
export async function openWhenRead(path: string, signal: AbortSignal | undefined): Promise<Writable> {
  for (;;) {
    try {
      const fd = await openPath(path, O_WRONLY | O_NONBLOCK)
      return new Socket({ fd, readable: false, writable: true })
    } catch (error) {
      if (codeOf(error) !== 'ENXIO') throw error
    }
    await delay(POLL_MS, undefined, { ...(signal && { signal }) }).catch((cause: unknown) => {
      throw new EssError('interrupted', 'Interrupted before a program opened the pipe to read from it.', {
        cause,
      })
    })
  }
}
