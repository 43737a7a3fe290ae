import { connectionBelow } from '../../node/ports.js'
import { descriptorOf } from '../../node/socket-inside.js'
import type { SpliceEnd, SpliceJob, Splicer } from '../splice/splicer.js'
import { Ledger } from './ledger.js'
import { type Flow, type Pump, SENDER_CLOSED_ITS_HALF } from './pump.js'
import type { RawBody } from './raw-body.js'
import { socketsPump } from './sockets.js'

/** How much is read here before the kernel moves the rest: the receiver gets its 200 when the first byte is there. */
const FIRST_BYTES = 16 * 1024

/** How often within a stall timeout the engine is asked whether anything moved. */
const STALL_CHECKS = 8

/**
 * The gear between two TCP connections of plain HTTP/1.1, for a body of known length on Linux. After the first bytes,
 * the rest never leaves the kernel.
 */
export function splicePump(body: RawBody, contentLength: number, flow: Flow, splicer: Splicer): Pump {
  const receiverConnection = connectionBelow(flow.receiverResponse)
  /** Counts the first bytes, which go through this process. */
  const ledger = new Ledger(receiverConnection, body.connection, handedOn)
  let job: SpliceJob | undefined
  /** Moves the rest if the engine couldn't begin. */
  let fallback: Pump | undefined
  let watch: NodeJS.Timeout | undefined
  let isStopped = false

  body.connection.on('close', lost)

  return {
    gear: 'splice',
    received: () => ledger.received + (job?.moved() ?? 0) + (fallback?.received() ?? 0),
    handedOn: () => ledger.handedOn + (job?.moved() ?? 0) + (fallback?.handedOn() ?? 0),
    isBlocked: () =>
      ledger.handedOn < ledger.received ||
      (job !== undefined && job.taken() > job.moved()) ||
      fallback?.isBlocked() === true,
    start,
    // It is whole only when every byte was handed on.
    whenHandedOn: (done) => (fallback === undefined ? done() : fallback.whenHandedOn(done)),
    stop,
  }

  function start(): void {
    const buffer = Buffer.allocUnsafe(FIRST_BYTES)
    const first = body.start({ buffer: () => buffer, take })
    if (first.length === 0) body.resume()
    else take(first)
  }

  /** Takes the first bytes. It returns false, so it isn't called again. */
  function take(bytes: Buffer): boolean {
    const own = bytes.subarray(0, contentLength)
    ledger.received = own.length
    if (!flow.admit()) return false
    ledger.wrote(own.length)
    receiverConnection.write(own, ledger.taken)
    return false
  }

  /** The first bytes have left; the kernel moves the rest. */
  function handedOn(): void {
    if (isStopped) return
    if (ledger.received === contentLength) {
      whole()
      return
    }
    const senderFd = descriptorOf(body.connection)
    const receiverFd = descriptorOf(receiverConnection)
    // A connection was closed just now, and the event that says so is on its way.
    if (senderFd === undefined || receiverFd === undefined) return
    job = splicer.start(senderFd, receiverFd, contentLength - ledger.received)
    watch = watchForStalls(job)
    // It never rejects, and `spliced` handles every end.
    void job.ended.then(spliced)
  }

  /** Node sees no byte move, and would take the receiver's connection for idle. */
  function watchForStalls({ moved }: SpliceJob): NodeJS.Timeout | undefined {
    if (flow.stallTimeoutMs === 0) return undefined
    let last = 0
    return setInterval(() => {
      const now = moved()
      if (now !== last) receiverConnection.setTimeout(flow.stallTimeoutMs)
      last = now
    }, flow.stallTimeoutMs / STALL_CHECKS)
  }

  function spliced({ how, taken }: SpliceEnd): void {
    clearInterval(watch)
    if (isStopped) return
    switch (how) {
      case 'whole':
        whole()
        break
      case 'sender-ended':
        flow.fail('sender-lost', SENDER_CLOSED_ITS_HALF)
        break
      case 'sender-failed':
        flow.senderEnded(false)
        break
      case 'receiver-failed':
        flow.fail('receiver-lost')
        break
      case 'engine-failed':
        // For example, descriptors have run out. If nothing has moved, nothing can be lost or doubled.
        if (taken === 0) goOnWithout()
        else
          flow.fail(
            'internal-error',
            'The part of the server that moves bytes failed. Send the file again for a new link.',
          )
        break
      case 'cancelled':
        break
    }
  }

  function goOnWithout(): void {
    body.connection.off('close', lost)
    fallback = socketsPump(body, flow, contentLength - ledger.received)
    fallback.start()
  }

  function whole(): void {
    body.connection.off('close', lost)
    body.finish()
    flow.senderEnded(true)
  }

  function lost(): void {
    flow.senderEnded(false)
  }

  function stop(): Promise<void> | undefined {
    isStopped = true
    clearInterval(watch)
    body.connection.off('close', lost)
    body.release()
    job?.cancel()
    return fallback?.stop() ?? job?.ended.then(() => undefined)
  }
}
