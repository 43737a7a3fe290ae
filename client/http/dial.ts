import { ADDRCONFIG, type LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { connect, isIP, type OnReadOpts, type Socket } from 'node:net'
import { codeOf } from '../node/errno-words.js'

/** How long one address is tried alone, before the next is tried beside it (RFC 8305, 5). */
const HEAD_START_MS = 250

// `allowHalfOpen`: after the server's FIN we still send our own, later. Keep-alive finds a peer that vanished.
const TCP_OPTIONS = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }

/** Codes that say: this machine has no route. They say nothing about the peer. */
const NO_WAY: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']

/**
 * The addresses of a host, in the system's order, IPv4 and IPv6 in turns (RFC 8305, 4). getaddrinfo(3) can't be
 * stopped: after an abort it goes on until the system gives up, and its result is ignored.
 */
export async function addressesOf(host: string, signal: AbortSignal): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  // As in net.connect: leaves out a family that this machine has no address of.
  const hints = process.platform === 'win32' ? 0 : ADDRCONFIG
  return inTurns(await untilAborted(lookup(host, { all: true, hints }), signal))
}

/**
 * Connects to the first address that answers. Unlike Node's `autoSelectFamily`, an attempt goes on while the next
 * ones begin, so a slow handshake still counts. If all fail, rejects with the error that says most.
 */
export function dial(
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
  onread?: OnReadOpts,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const waiting = [...addresses]
    const trying = new Set<Socket>()
    let headStart: NodeJS.Timeout | undefined
    let failure: unknown
    let isOver = false

    function tryNext(): void {
      clearTimeout(headStart)
      const host = waiting.shift()
      if (host === undefined) return
      const socket = connect({ ...TCP_OPTIONS, host, port, ...(onread !== undefined && { onread }) })
      trying.add(socket)
      socket.once('connect', () => {
        if (isOver) return
        trying.delete(socket)
        finish()
        resolve(socket)
      })
      // The listener stays for good. After the handover, the request hears the errors too.
      socket.on('error', (error) => onFailed(socket, error))
      if (waiting.length > 0) headStart = setTimeout(tryNext, HEAD_START_MS)
    }

    function onFailed(socket: Socket, error: Error): void {
      if (isOver) return
      trying.delete(socket)
      if (failure === undefined || NO_WAY.includes(codeOf(failure))) failure = error
      if (waiting.length > 0) tryNext()
      else if (trying.size === 0) {
        finish()
        reject(failure)
      }
    }

    function onAbort(): void {
      finish()
      reject(signal.reason)
    }

    function finish(): void {
      isOver = true
      clearTimeout(headStart)
      signal.removeEventListener('abort', onAbort)
      for (const socket of trying) socket.destroy()
    }

    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    else tryNext()
  })
}

/** Puts the two families in turns and keeps the order within each. */
export function inTurns(addresses: readonly LookupAddress[]): readonly string[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family)
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family)
  const turns = Array.from({ length: Math.max(first.length, second.length) }, (_, turn) => [
    first[turn],
    second[turn],
  ])
  return turns.flat().flatMap((entry) => (entry === undefined ? [] : [entry.address]))
}

/** Settles as `promise` does, or rejects with the signal's reason if that aborts first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
