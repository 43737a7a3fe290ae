/**
 * Makes V8 look for garbage only when its heap is full, for a process that seals or opens a transfer.
 *
 * OpenSSL gives each chunk of 64 KiB in new memory outside of the heap. V8 frees that quickly. But it also takes it for
 * growth of its own heap, which is small in `ess`: so for every 32 MiB it marks all of the heap, on other threads too,
 * which is a third of the CPU time of such a download. This changes all of V8, so only a process of our own may call it.
 */
export function collectWhenFull(): void {
  // It is not loaded by a transfer that doesn't need it.
  process.getBuiltinModule('node:v8').setFlagsFromString('--no-incremental-marking')
}
