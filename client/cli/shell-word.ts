import { quoteForShell } from '../../shared/shell-word.js'

/** Text as one word for a shell, quoted only where it has to be. */
export function shellWord(text: string): string {
  return /^[\w./:@+,-][\w./:@+,=-]*$/.test(text) ? text : quoteForShell(text)
}
