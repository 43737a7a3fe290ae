import type { SpliceEnd, SpliceJob, Splicer } from '../splice/splicer.js'
import type { Flow, Pump } from './pump.js'
import { descriptorOf, type RawBody } from './raw-body.js'

/** What is read here before the kernel moves the rest: the first byte decides that the receiver gets a 200. */
const FIRST_BYTES = 16 * 1024

/**
 * The gear between two TCP connections of plain HTTP/1.1, for a body of known length on Linux: after its first
 * bytes the rest never leaves the kernel.
 */
export function splicePump(body: RawBody, contentLength: number, flow: Flow, splicer: Splicer): Pump {
  const receiverConnection = flow.receiverResponse.req.socket
  /** Bytes that went through this process, read and taken by the kernel. */
  let received = 0
  let handedOn = 0
  let job: SpliceJob | undefined
  let watch: NodeJS.Timeout | undefined
  let isStopped = false

  body.connection.on('close', lost)

  return {
    gear: 'splice',
    received: () => received + (job?.moved() ?? 0),
    handedOn: () => handedOn + (job?.moved() ?? 0),
    isBlocked: () => (job === undefined ? handedOn < received : job.taken() > job.moved()),
    start,
    stop,
  }

  function start(): void {
    const buffer = Buffer.allocUnsafe(FIRST_BYTES)
    const first = body.start({ buffer: () => buffer, take })
    if (first.length === 0) body.resume()
    else take(first)
  }

  /** The first bytes; there is no second call, because the answer is no. */
  function take(bytes: Buffer): boolean {
    const own = bytes.subarray(0, contentLength)
    received = own.length
    if (!flow.admit()) return false
    receiverConnection.write(own, (error) => {
      // A receiver that is gone is the transfer's to notice.
      if (error) return
      handedOn = own.length
      if (!isStopped) spliceRest()
    })
    return false
  }

  function spliceRest(): void {
    if (received === contentLength) {
      whole()
      return
    }
    try {
      job = splicer.start(body.fd, descriptorOf(receiverConnection), contentLength - received)
    } catch (error) {
      flow.fail(
        'internal-error',
        `the relay could not begin: ${error instanceof Error ? error.message : error}`,
      )
      return
    }
    watch = watchForStalls(job)
    // It never rejects, and nobody else waits for it.
    void job.ended.then(spliced)
  }

  /** Node sees nothing move, and would call the receiver's connection idle. */
  function watchForStalls({ moved }: SpliceJob): NodeJS.Timeout | undefined {
    if (flow.stallTimeoutMs === 0) return undefined
    let last = 0
    return setInterval(() => {
      const now = moved()
      if (now !== last) receiverConnection.setTimeout(flow.stallTimeoutMs)
      last = now
    }, flow.stallTimeoutMs / 8)
  }

  function spliced({ how }: SpliceEnd): void {
    clearInterval(watch)
    switch (how) {
      case 'whole':
        whole()
        break
      case 'sender-ended':
      case 'sender-failed':
        flow.senderEnded(false)
        break
      case 'receiver-failed':
        flow.fail('receiver-lost')
        break
      case 'engine-failed':
        flow.fail('internal-error', 'the relay failed')
        break
      case 'cancelled':
        break
    }
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
    return job?.ended.then(() => undefined)
  }
}
