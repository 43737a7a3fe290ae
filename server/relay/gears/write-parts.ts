import type { ByteSink } from '../../node/ports.js'

/** More parts than these are copied into one. Chunks of a byte each would otherwise be an object each. */
const MAX_PARTS = 4

/** Writes `parts`, of which there is at least one, together. `taken` is called when the kernel has all of them. */
export function writeParts(
  receiver: ByteSink,
  parts: readonly Buffer[],
  taken: (error?: Error | null) => void,
): void {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) receiver.write(only, taken)
  else if (parts.length > MAX_PARTS) receiver.write(Buffer.concat(parts), taken)
  else {
    receiver.cork()
    for (const [index, part] of parts.entries()) {
      const isLast = index === parts.length - 1
      receiver.write(part, isLast ? taken : undefined)
    }
    receiver.uncork()
  }
}
