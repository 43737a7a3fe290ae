/** What Windows' file systems take in no name (Microsoft, Naming Files); `:` would name a stream of another file. */
const NOT_ON_WINDOWS = /[<>:"|?*]/g

/** The devices of every folder there, with any extension, in either case, and with what is no digit elsewhere. */
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)/i

/**
 * A name that `safeFileName` has made safe, as the file systems of this machine take it: on Windows not a device's, no
 * stream of another file, and without the dots at its end that are dropped there. Elsewhere those are good names
 * (`aux.c`, `12:30.log`), so it is the receiver that says what is not one, and not the sender or the server.
 */
export function localFileName(name: string, platform: NodeJS.Platform = process.platform): string {
  if (platform !== 'win32') return name
  const taken = name.replace(NOT_ON_WINDOWS, '_').replace(/[\s.]+$/, (end) => '_'.repeat(end.length))
  return WINDOWS_DEVICE.test(taken) ? `_${taken}` : taken
}

/** The name of a download whose sender and URL give none. */
export function namelessFile(id: string): string {
  return `ess-${id}`
}
