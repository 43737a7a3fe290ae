import { readFileSync } from 'node:fs'
import { IS_BALANCED } from '../helpers/other-node.js'
import type { Version } from './matrix.js'

const MIB = 1024 * 1024

const floods = new Map<Version, Buffer>()

/** Bytes that can't all leave the server while the receiver is silent. */
export function floodTo(receiver: Version): Buffer {
  const known = floods.get(receiver)
  if (known !== undefined) return known
  const flood = Buffer.alloc((IS_BALANCED ? BALANCED : ALONE)[receiver](), 'flood ')
  floods.set(receiver, flood)
  return flood
}

/** More than the kernels on the way to a receiver that doesn't read hold: Linux lets a server's grow to 4 MiB. */
const ALONE: Record<Version, () => number> = {
  'HTTP/1.1': () => 12 * MIB,
  // The receiver's window holds the server back, which is 64 KiB.
  'HTTP/2': () => MIB,
}

/** The same, and what each program on the way holds itself. */
const BALANCED: Record<Version, () => number> = {
  // Both nodes and the balancer send, the second node and the balancer receive.
  'HTTP/1.1': () => 3 * mostIn('tcp_wmem') + 2 * mostIn('tcp_rmem') + 4 * MIB,
  // The receiver's window holds its own node back, and not the other one.
  'HTTP/2': () => mostIn('tcp_wmem') + mostIn('tcp_rmem') + 2 * MIB,
}

/** How many bytes the kernel lets the buffer of one connection grow to. */
function mostIn(buffers: 'tcp_wmem' | 'tcp_rmem'): number {
  const [, , most] = readFileSync(`/proc/sys/net/ipv4/${buffers}`, 'utf8').split(/\s+/)
  return Number(most)
}
