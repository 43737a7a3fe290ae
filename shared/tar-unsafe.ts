import { printable } from './hidden.js'
import { fromLatin1 } from './latin1.js'
import { EssError } from './problems.js'

/** A longer name is cut in the message. */
const MAX_SHOWN = 100

/** The error for a tar that isn't unpacked. `entry` are the bytes of the name that it is about, if there is one. */
export function unsafe(why: string, entry?: string): EssError {
  const what = entry === undefined ? '' : `${shown(entry)} `
  return new EssError(
    'unsafe-bundle',
    `This bundle is not safe to unpack: ${what}${why}. Nothing was kept. Ask the sender to send it again.`,
  )
}

/** A name as bytes, for a person to read. */
export function shown(bytes: string): string {
  const text = printable(new TextDecoder().decode(fromLatin1(bytes))).replaceAll('\n', '\\n')
  return `"${text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text}"`
}
