/**
 * OpenSSL's output is new memory for each chunk, which is freed some 30 MiB later. glibc gives what is free at the top of its heap back
 * to the system, from 128 KiB on, and then each page of the next chunks costs a fault: 100,000 for a GiB, a fifth of all that
 * sealing takes.
 */
const KEPT_BYTES = 16 * 1024 * 1024
let isKept = false

/**
 * Has glibc keep more: twice as much as the largest block that it has mapped and that was freed (mallopt(3),
 * M_MMAP_THRESHOLD). This one is freed by the next garbage collection, and as no page of it is used, it takes no memory. On
 * other systems it does nothing.
 */
export function keepFreedMemory(): void {
  if (isKept) return
  isKept = true
  Buffer.allocUnsafeSlow(KEPT_BYTES)
}
