/**
 * Characters that people can't see, or that change how the text around them looks. In a name they can make one file
 * look like another; in a message, a terminal may obey them. Persian, Hindi, Sinhala and many emoji are written with
 * some of them, and there they stay.
 */

/** Nearly every name, and every message of ours: there is nothing to look for. */
const PLAIN = /^[\x20-\x7e]*$/

/** ZERO WIDTH NON-JOINER, ZERO WIDTH JOINER, and Mongolian's own VOWEL SEPARATOR. */
const JOINERS = '\\u200c\\u200d\\u180e'
/** Characters that belong in some places: variation selectors, joiners, and the tags of a flag. */
const DEPENDS = `\\p{Variation_Selector}${JOINERS}\\u{e0020}-\\u{e007f}`

/**
 * Characters that belong nowhere: control characters, line separators, and any that reorder or hide text (bidi
 * controls).
 */
const never = () =>
  new RegExp(
    `(?![${DEPENDS}])[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\ufff9-\\ufffb]`,
    'gu',
  )

/**
 * The whole flag of a region such as Wales (a black flag, the region's code in tags, an end tag), or a single tag.
 */
const FLAG_OR_TAG =
  /(\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f})|[\u{e0020}-\u{e007f}]/gu

/**
 * A variation selector with nothing to select: at the beginning, or after another selector, a joiner, a space, a
 * Latin letter, a dot or a dash. None of these has variants.
 */
const straySelector = () =>
  new RegExp(`(?<![^\\s.\\-\\p{Script=Latin}\\p{Variation_Selector}${JOINERS}])\\p{Variation_Selector}`, 'gu')

/** The scripts in which a joiner changes the look, and some words need one (UAX #31, 2.3). */
const JOINING_SCRIPTS = [
  ...['Adlam', 'Arabic', 'Balinese', 'Bengali', 'Chakma', 'Cham', 'Devanagari', 'Grantha', 'Gujarati'],
  ...['Gurmukhi', 'Hanifi_Rohingya', 'Javanese', 'Kannada', 'Khmer', 'Malayalam', 'Mandaic', 'Mongolian'],
  ...['Myanmar', 'Newa', 'Nko', 'Oriya', 'Sinhala', 'Sundanese', 'Syloti_Nagri', 'Syriac', 'Tai_Tham'],
  ...['Tamil', 'Telugu', 'Tibetan', 'Tirhuta'],
]
const WORD = '[\\p{L}\\p{M}\\p{N}]'
/** A letter, a mark or a digit of such a script. */
const JOINING = `(?=${WORD})[${JOINING_SCRIPTS.map((name) => `\\p{Script_Extensions=${name}}`).join('')}]`
/** A picture, with its selector and its skin tone. */
const PICTURE = '\\p{Extended_Pictographic}[\\ufe0f\\p{Emoji_Modifier}]{0,2}'

/** The places where a joiner belongs. */
const JOINER_PLACES = [
  // Inside a word, even if it goes on in Latin letters, as in the Persian plural of PDF.
  `(?<=${JOINING})[${JOINERS}](?=${WORD})`,
  `(?<=${WORD})[${JOINERS}](?=${JOINING})`,
  // After a letter that should look as if another followed.
  `(?<=${JOINING})\\u200d`,
  // Between two pictures that make one.
  `(?<=${PICTURE})\\u200d(?=\\p{Extended_Pictographic})`,
]
const strayJoiner = () => new RegExp(`(?!${JOINER_PLACES.join('|')})[${JOINERS}]`, 'gu')

/** Made for the first text that needs them: that takes longer than all else that is done when this module is loaded. */
let patterns: { never: RegExp; straySelector: RegExp; strayJoiner: RegExp } | undefined

/** Replaces every hidden character in `text` by the result of `write`. Characters that belong where they are stay. */
export function replaceHidden(text: string, write: (character: string) => string): string {
  if (PLAIN.test(text)) return text
  patterns ??= { never: never(), straySelector: straySelector(), strayJoiner: strayJoiner() }
  // The order matters: each joiner is judged by the characters that are left beside it.
  return text
    .replace(patterns.never, write)
    .replace(FLAG_OR_TAG, (character, flag: string | undefined) => flag ?? write(character))
    .replace(patterns.straySelector, write)
    .replace(patterns.strayJoiner, write)
}

/**
 * Makes text that may hold a stranger's words fit for a terminal or a page. Characters that can't be seen, or that a
 * terminal would obey, are written as `\u{1b}`. Line feeds stay.
 */
export function printable(text: string): string {
  return replaceHidden(text.toWellFormed(), (character) =>
    character === '\n' ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
}
