/**
 * Characters that a person does not see, or that change what a person sees around them. In a name they can make one
 * file look like another; in words, a terminal may obey them. Some of them are also how Persian, Hindi, Sinhala and
 * many emoji are written, and those stay where they do that.
 */

/** Nearly every name, and every line of ours: there is nothing to look for. */
const PLAIN = /^[\x20-\x7e]*$/

/** ZERO WIDTH NON-JOINER, ZERO WIDTH JOINER, and Mongolian's own VOWEL SEPARATOR. */
const JOINERS = '\\u200c\\u200d\\u180e'
/** What may belong where it is: selectors of variants, joiners, and the tags of a flag. */
const DEPENDS = `\\p{Variation_Selector}${JOINERS}\\u{e0020}-\\u{e007f}`

/** Control characters, line separators, and what reorders or hides (bidi controls among them): nowhere welcome. */
const NEVER = new RegExp(
  `(?![${DEPENDS}])[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\ufff9-\\ufffb]`,
  'gu',
)

/** The flag of a region, such as Wales, in full: a black flag, the region's code in tags, and their end. Or one tag. */
const FLAG_OR_TAG =
  /(\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f})|[\u{e0020}-\u{e007f}]/gu

/**
 * A selector that has nothing to select from: at the beginning, behind another one or a joiner, behind a space, or
 * behind a Latin letter, a dot or a dash, which have no variants.
 */
const STRAY_SELECTOR = new RegExp(
  `(?<![^\\s.\\-\\p{Script=Latin}\\p{Variation_Selector}${JOINERS}])\\p{Variation_Selector}`,
  'gu',
)

/** The scripts in which a joiner changes what is seen, and some words are not spelled without (UAX #31, 2.3). */
const JOINING_SCRIPTS = [
  ...['Adlam', 'Arabic', 'Balinese', 'Bengali', 'Chakma', 'Cham', 'Devanagari', 'Grantha', 'Gujarati'],
  ...['Gurmukhi', 'Hanifi_Rohingya', 'Javanese', 'Kannada', 'Khmer', 'Malayalam', 'Mandaic', 'Mongolian'],
  ...['Myanmar', 'Newa', 'Nko', 'Oriya', 'Sinhala', 'Sundanese', 'Syloti_Nagri', 'Syriac', 'Tai_Tham'],
  ...['Tamil', 'Telugu', 'Tibetan', 'Tirhuta'],
]
const WORD = '[\\p{L}\\p{M}\\p{N}]'
/** A letter, a mark or a digit of such a script. */
const JOINING = `(?=${WORD})[${JOINING_SCRIPTS.map((name) => `\\p{Script_Extensions=${name}}`).join('')}]`
/** A picture, in the form that was selected and with its skin tone. */
const PICTURE = '\\p{Extended_Pictographic}[\\ufe0f\\p{Emoji_Modifier}]{0,2}'

/** Where a joiner belongs. */
const JOINER_PLACES = [
  // Inside a word, also where it goes on in Latin letters (as Persian writes the plural of PDF).
  `(?<=${JOINING})[${JOINERS}](?=${WORD})`,
  `(?<=${WORD})[${JOINERS}](?=${JOINING})`,
  // Behind a letter that is to look as if more came.
  `(?<=${JOINING})\\u200d`,
  // Between two pictures that make one.
  `(?<=${PICTURE})\\u200d(?=\\p{Extended_Pictographic})`,
]
const STRAY_JOINER = new RegExp(`(?!${JOINER_PLACES.join('|')})[${JOINERS}]`, 'gu')

/** Writes every hidden character of `text` by `write`; those that belong where they are stay. */
export function replaceHidden(text: string, write: (character: string) => string): string {
  if (PLAIN.test(text)) return text
  // In this order: a joiner is judged by what is left beside it.
  return text
    .replace(NEVER, write)
    .replace(FLAG_OR_TAG, (character, flag: string | undefined) => flag ?? write(character))
    .replace(STRAY_SELECTOR, write)
    .replace(STRAY_JOINER, write)
}

/**
 * Words that may hold a stranger's, for a terminal or a page: what would not be seen, or be obeyed, is written as
 * `\u{1b}`. Line feeds stay.
 */
export function printable(text: string): string {
  return replaceHidden(text.toWellFormed(), (character) =>
    character === '\n' ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
}
