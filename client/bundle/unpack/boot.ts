import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'

/** How far two times of one boot may be apart that were counted back from two moments. */
const TOLERANCE_S = 5

/** Names the boot of this system, as far as it can be told. */
export function currentBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    // Not Linux.
    return String(Math.round(Date.now() / 1000 - uptime()))
  }
}

/** True if `noted`, a result of `currentBoot`, names the boot that still runs. */
export function isCurrentBoot(noted: string): boolean {
  const current = currentBoot()
  return noted === current || Math.abs(Number(noted) - Number(current)) <= TOLERANCE_S
}
