import { basename, dirname, resolve } from 'node:path'

/** The shell line that sends the folder at `path` as one file. */
export function tarLine(path: string): string {
  const whole = resolve(path)
  const name = basename(whole)
  const what = [dirname(whole), name || '.'].map(quoteIfNeeded).join(' ')
  return `tar cC ${what} | ess send --name ${quoteIfNeeded(`${name || 'root'}.tar`)}`
}

/** Quotes a word for a shell. A plain path stays plain, because people read this line before they copy it. */
function quoteIfNeeded(word: string): string {
  return /^[\w./@%+,:][\w./@%+,:-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
