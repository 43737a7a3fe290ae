import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const DEADLINE_MS = 60_000
const POLL_MS = 500
/** Pages that a sender and a subject take together for 256 KiB that nobody reads; measured. */
const PAGES_PER_WAITING_SOCKET = 72

/**
 * Waits until little of the memory that the kernel has for TCP is taken. All processes share it, and once it is
 * scarce some connections stand still, which would look like a relay's doing. False where it did not come free.
 */
export async function isTcpMemoryFree(): Promise<boolean> {
  const deadline = performance.now() + DEADLINE_MS
  while (usedPages() > limits().free / 4) {
    if (performance.now() > deadline) return false
    await sleep(POLL_MS)
  }
  return true
}

/** How many waiting sockets, 256 KiB pushed into each, the kernel holds before its memory for them is scarce. */
export function waitingSocketsThatFit(): number {
  return Math.floor(limits().scarce / PAGES_PER_WAITING_SOCKET)
}

function usedPages(): number {
  return Number(/^TCP: .* mem (\d+)$/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))?.[1])
}

/** In pages: above `scarce` memory is scarce, until no more than `free` is used. */
function limits(): { readonly free: number; readonly scarce: number } {
  const [free = 0, scarce = 0] = readFileSync('/proc/sys/net/ipv4/tcp_mem', 'utf8').split(/\s+/).map(Number)
  return { free, scarce }
}
