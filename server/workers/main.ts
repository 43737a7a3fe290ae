import { Socket } from 'node:net'
import { Channel } from './channel.js'
import { isConnectionNote, readToWorker, type ToParent, type ToWorker } from './messages.js'
import { Worker } from './worker.js'
import { CHANNEL_FD } from './worker-process.js'

// The program of one worker, which its parent starts.

let worker: Promise<Worker> | undefined
const channel: Channel<ToParent, ToWorker> = new Channel(
  new Socket({ fd: CHANNEL_FD, readable: true, writable: true }),
  readToWorker,
  (message) => {
    if (message.kind === 'begin') worker = begin(message)
    // In order, because each waits for the same promise; and a worker that can't begin ends its process.
    else void worker?.then((begun) => begun.hear(message))
  },
)

function begin(message: Extract<ToWorker, { kind: 'begin' }>): Promise<Worker> {
  const begun = Worker.begin(message, channel)
  begun.catch((error: NodeJS.ErrnoException) => {
    // The system's: it can't listen for the other workers. Anything else is a bug.
    if (error.syscall === undefined) throw error
    channel.now({ kind: 'failed', trouble: `A worker can't listen for the others: ${error.message}.` })
    process.exit(1)
  })
  return begun
}

// A terminal and a service manager signal every process of a server. The parent decides.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

process.on('message', (note: unknown, connection: unknown) => {
  if (!isConnectionNote(note)) throw new Error('Expected a connection')
  // None, if the client has left meanwhile.
  const given = connection instanceof Socket ? connection : undefined
  void worker?.then((begun) => begun.take(note, given))
})

// Without its parent it has no port, and nobody who would stop it.
channel.onEnd(() => void worker?.then((begun) => begun.orphaned()))
