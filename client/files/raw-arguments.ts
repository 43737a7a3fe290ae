import { readFileSync } from 'node:fs'

/** The character that Node puts in place of bytes that are not UTF-8. */
export const NOT_UTF8 = '\ufffd'

/** What may come before an option's value in the same argument. */
const PREFIX = /^(?:-\w=?|--[\w-]+=)?$/

/**
 * The bytes of the argument that Node reads as `text`. A file's name may be any bytes, and Node has lost those that
 * are not UTF-8. Undefined if the argument is UTF-8, if several arguments fit, or if the system doesn't tell.
 */
export function bytesOf(text: string): Buffer | undefined {
  if (!text.includes(NOT_UTF8)) return undefined
  const [found, ...others] = rawArguments().flatMap((raw) => valueIn(raw, text) ?? [])
  const isClear = others.every((other) => found?.equals(other))
  return isClear && found?.equals(Buffer.from(text)) === false ? found : undefined
}

function valueIn(raw: Buffer, text: string): Buffer | undefined {
  const words = raw.toString()
  const prefix = words.slice(0, Math.max(0, words.length - text.length))
  return words === prefix + text && PREFIX.test(prefix) ? raw.subarray(prefix.length) : undefined
}

function rawArguments(): Buffer[] {
  try {
    const all = readFileSync('/proc/self/cmdline')
    const ends = [...all.keys()].filter((index) => all[index] === 0)
    return ends.map((end, index) => all.subarray(index === 0 ? 0 : (ends[index - 1] ?? 0) + 1, end))
  } catch {
    // Only Linux has this file.
    return []
  }
}
