import { windowsName } from '../../shared/windows-name.js'

/**
 * Fits a name from `safeFileName` to this machine. On Windows the result names no device and no stream of another
 * file, and has no dots at the end, which Windows drops. Elsewhere such names are fine (`aux.c`, `12:30.log`), so the
 * receiver decides, and not the sender or the server.
 */
export function localFileName(name: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'win32' ? windowsName(name) : name
}

/** The name of a download if neither its sender nor its URL gives one. */
export function namelessFile(id: string): string {
  return `ess-${id}`
}
