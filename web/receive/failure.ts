import { EssError, problemSentences } from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'

/** A download that broke off, in words for the person. */
export class Stopped extends Error {}

/** What went wrong, and what to do next. */
export function wordsOf(error: unknown): string {
  if (error instanceof Stopped) return error.message
  if (!(error instanceof EssError)) return String(error)
  switch (error.code) {
    case 'not-authentic':
      return RECEIVING.changed
    case 'wrong-key':
      return RECEIVING.wrongKey
    case 'file-unwritable':
      return RECEIVING.unwritable
    case 'too-large':
      return error.message
    case 'server-unreachable':
      return COMMON.unreachable
    default:
      return problemSentences(error)
  }
}
