import type { RequestPort } from '../../node/ports.js'

/**
 * How long the last byte of a small file waits behind the others. curl and wget read the head and a small file in one
 * go, and only then find out that they can't write it: the file exists (`curl -OJ`), or the disk is full. They close the
 * connection in as good an order as a program that has written everything. With one byte still to come we notice,
 * because that byte is answered with a reset. They take well below a millisecond to give up, whatever the network.
 */
export const LAST_BYTE_MS = 10

/** curl reads at most its buffer of 100 KiB in one go. In a larger file, more is still to come after that anyway. */
const MAX_READ_BYTES = 100 * 1024

/** True if the last byte of a file of `total` bytes has to wait for this receiver. */
export function lastByteWaits(receiverRequest: RequestPort, total: number | undefined): boolean {
  if (total === undefined || total === 0 || total > MAX_READ_BYTES) return false
  if (receiverRequest.httpVersionMajor !== 1) return false
  return /^(?:curl|wget)\//i.test(receiverRequest.headers['user-agent'] ?? '')
}
