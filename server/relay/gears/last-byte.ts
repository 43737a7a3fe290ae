import type { RequestPort } from '../../node/ports.js'

/** More than curl reads in one go (its buffer has 100 KiB), and a byte that is missing is behind it anyhow. */
const MAX_READ_BYTES = 100 * 1024

/**
 * True when the last byte of a file of `total` bytes has to wait for this receiver. curl and wget read the head and a
 * small file in one go, and only then find out that they can't write it: the file exists (`curl -OJ`), or the disk is
 * full. They close the connection in as good an order as a program that has written everything. With one byte still to
 * come we notice, because that byte is answered with a reset.
 */
export function lastByteWaits(receiverRequest: RequestPort, total: number | undefined): boolean {
  if (total === undefined || total === 0 || total > MAX_READ_BYTES) return false
  if (receiverRequest.httpVersionMajor !== 1) return false
  return /^(?:curl|wget)\//i.test(receiverRequest.headers['user-agent'] ?? '')
}
