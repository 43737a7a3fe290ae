/** Characters that Windows allows in no name (Microsoft, Naming Files). `:` would name a stream of another file. */
const NOT_ON_WINDOWS = /[<>:"|?*]/g

/**
 * The devices that Windows has in every folder: with any extension, in either case, and with superscript digits too.
 */
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)/i

/**
 * Fits a name from `safeFileName` to this machine. On Windows the result names no device and no stream of another
 * file, and has no dots at the end, which Windows drops. Elsewhere such names are fine (`aux.c`, `12:30.log`), so the
 * receiver decides, and not the sender or the server.
 */
export function localFileName(name: string, platform: NodeJS.Platform = process.platform): string {
  if (platform !== 'win32') return name
  const taken = name.replace(NOT_ON_WINDOWS, '_').replace(/[\s.]+$/, (end) => '_'.repeat(end.length))
  return WINDOWS_DEVICE.test(taken) ? `_${taken}` : taken
}

/** The name of a download if neither its sender nor its URL gives one. */
export function namelessFile(id: string): string {
  return `ess-${id}`
}
