/** A name of more characters would take the whole screen of a phone in the size of a heading. */
const LONG = 60

/** The class of a heading that holds this text: names of files have up to 255 bytes. */
export function headingLook(text: string): '' | 'long' {
  return text.length > LONG ? 'long' : ''
}
