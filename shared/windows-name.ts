/** Characters that Windows allows in no name (Microsoft, Naming Files). `:` would name a stream of another file. */
const NOT_ON_WINDOWS = /[<>:"|?*]/g

/**
 * The devices that Windows has in every folder: with any extension, in either case, and with superscript digits too.
 */
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)/i

/**
 * Fits a name without slashes to Windows: the result names no device and no stream of another file, and has no dots at
 * the end, which Windows drops.
 */
export function windowsName(name: string): string {
  const taken = name.replace(NOT_ON_WINDOWS, '_').replace(/[\s.]+$/, (end) => '_'.repeat(end.length))
  return WINDOWS_DEVICE.test(taken) ? `_${taken}` : taken
}
